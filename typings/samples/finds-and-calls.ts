interface Issue {
  number: number;
  title: string;
  labels: string[];
}

enum Weight {
  Light = 1,
  Heavy = 3,
}

const found = await tools.discover({ query: "list issues", limit: 5, includeSchemas: true });
const path = found.bestPath ?? found.results[0]?.path;
if (path === undefined) return { found: found.total, issues: [] };

const about = await tools.describe(path);
console.log("%s needs approval: %s", about.path, about.approval === "required");

try {
  const issues = await tools[path]!<Issue[]>({ state: "open" });
  const weighed = issues.map((issue) => ({
    ...issue,
    weight: issue.labels.includes("big") ? Weight.Heavy : Weight.Light,
  })) satisfies (Issue & { weight: Weight })[];
  await Promise.all(weighed.map(({ number }) => tools.github.issues.comment({ number, body: "seen" })));
  return weighed;
} catch (error) {
  if (error instanceof ToolPolicyError && error.code === "rate_limited") return { retryAfterMs: error.retryAfterMs ?? 0 };
  if (error instanceof ToolCallError && error.retryable) return { status: error.status };
  throw error;
}
