// Every line below must be an error; the compiler says so when one is not.
// @ts-expect-error: there is no network
await fetch("https://example.com");
// @ts-expect-error: there is no environment
process.env.TOKEN;
// @ts-expect-error: there are no modules
require("fs");
// @ts-expect-error: there is no page
document.title;
// @ts-expect-error: this is no other runtime
Deno.readTextFile("x");
// @ts-expect-error: a tool takes one object
await tools.github.issues.create("title");
// @ts-expect-error: the result of a tool is unknown until it is checked or named
(await tools.github.issues.list({})).length;
// @ts-expect-error: a search is a text or an object
await tools.discover(1);
// @ts-expect-error: tools cannot be replaced
tools.github = null;
// @ts-expect-error: a signal comes from a controller
new AbortSignal();
