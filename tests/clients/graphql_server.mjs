// A GraphQL service for the tests, made with the reference implementation. Prints its address, then answers until it is ended.
//
// /graphql      the service
// /closed       the same with introspection switched off
// /old          the same, by the specification of 2018: it refuses what came later
// /seen         what was sent to the others so far, as a JSON array; read once, it is empty again

import { createServer } from "node:http";
import { buildSchema, execute, GraphQLError, NoSchemaIntrospectionCustomRule, parse, specifiedRules, validate } from "graphql";

const schema = buildSchema(`
  "A point in time."
  scalar DateTime
  enum State { OPEN CLOSED }
  interface Node { id: ID! }
  "Where code lives."
  type Repository implements Node {
    id: ID!
    name: String!
    stars: Int
    createdAt: DateTime!
    oldName: String @deprecated(reason: "use name")
    owner: User!
    parent: Repository
    secret: String
    issues(first: Int = 10, states: [State!], filter: IssueFilter): IssueConnection!
    issue(number: Int!): Issue
    query: Query!
  }
  type User implements Node { id: ID! login: String! repositories(first: Int): [Repository!]! }
  type IssueConnection { totalCount: Int! pageInfo: PageInfo! nodes: [Issue] }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type Issue implements Node { id: ID! number: Int! title: String! state: State! author: User labels: [String!]! }
  union Hit = Repository | Issue
  input IssueFilter { title: String states: [State!] not: IssueFilter }
  input CreateIssue { repositoryId: ID! title: String! state: State = OPEN labels: [String!] }
  union Merged = MergeDone | MergeBlocked
  type MergeDone { issue: Issue! }
  type MergeBlocked { reason: String! }
  type CreateIssuePayload { issue: Issue query: Query }
  type Query {
    "One repository, by its owner and its name."
    repository(owner: String!, name: String!): Repository
    search(text: String!, first: Int = 10): [Hit!]!
    node(id: ID!): Node
    relay: Query!
    version: String!
    slow: String
    broken: String
    circular(depth: Int!): Repository
  }
  type Mutation {
    "Opens an issue."
    createIssue(input: CreateIssue!): CreateIssuePayload
    rename(id: ID!): Repository
    reset: Boolean
    merge(id: ID!): Merged
  }
  type Subscription { changed: Issue }
`);

const user = { __typename: "User", id: "U1", login: "mia" };
const issues = [
  { __typename: "Issue", id: "I1", number: 1, title: "First", state: "OPEN", author: user, labels: ["bug"] },
  { __typename: "Issue", id: "I2", number: 2, title: "Second", state: "CLOSED", author: null, labels: [] },
];
const repository = {
  __typename: "Repository",
  id: "R1",
  name: "airlock",
  stars: 7,
  createdAt: "2026-11-21T10:00:00Z",
  owner: user,
  parent: null,
  secret() {
    throw new GraphQLError("you may not see this", { extensions: { code: "FORBIDDEN" } });
  },
  issues({ first, states }) {
    const found = issues.filter((issue) => !states || states.includes(issue.state));
    const page = { hasNextPage: found.length > first, endCursor: "c1" };
    return { totalCount: found.length, pageInfo: page, nodes: found.slice(0, first) };
  },
  issue: ({ number }) => issues.find((issue) => issue.number === number),
};
user.repositories = () => [repository];

const root = {
  repository: ({ owner, name }) => (owner === "mia" && name === "airlock" ? repository : null),
  search: ({ text }) => [repository, ...issues].filter((hit) => (hit.title ?? hit.name).toLowerCase().includes(text.toLowerCase())),
  node: ({ id }) => [repository, user, ...issues].find((node) => node.id === id),
  version: "1",
  slow: () => new Promise(() => {}),
  broken() {
    throw new GraphQLError("it is out of order", { extensions: { code: "OUT_OF_ORDER" } });
  },
  rename: () => repository,
  merge: () => ({ __typename: "MergeDone", issue: issues[0] }),
  createIssue({ input }) {
    const issue = { __typename: "Issue", id: `I${issues.length + 1}`, number: issues.length + 1, author: user, labels: [], ...input };
    issues.push(issue);
    return { issue };
  },
};
repository.query = root;

const later = /specifiedByURL|isOneOf|inputFields\(|args\(/;
const seen = [];

async function answer(path, { query, variables, operationName }) {
  if (path === "/old" && later.test(query)) {
    return [400, { errors: [{ message: `Unknown argument in ${query.slice(0, 40)}` }] }];
  }
  let document;
  try {
    document = parse(query);
  } catch (error) {
    return [400, { errors: [error] }];
  }
  const rules = path === "/closed" ? [...specifiedRules, NoSchemaIntrospectionCustomRule] : specifiedRules;
  const errors = validate(schema, document, rules);
  if (errors.length > 0) {
    return [400, { errors: errors.map((error) => ({ ...error.toJSON(), extensions: { code: "GRAPHQL_VALIDATION_FAILED" } })) }];
  }
  return [200, await execute({ schema, document, rootValue: root, variableValues: variables, operationName })];
}

const server = createServer(async (request, response) => {
  const reply = (status, body) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  };
  if (request.url === "/seen") return reply(200, seen.splice(0));
  let text = "";
  for await (const chunk of request) text += chunk;
  const body = JSON.parse(text);
  if (!body.query.includes("__schema")) seen.push({ ...body, authorization: request.headers.authorization ?? null });
  reply(...(await answer(request.url, body)));
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
