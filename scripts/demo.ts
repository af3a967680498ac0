// Finds a tool by what it does, and calls it. `tools` is all that this code sees of the outside.
interface Found { path: string; hint: string }

const { results }: { results: Found[] } = await tools.discover({ query: "sum of two numbers", limit: 3 });
const [best] = results;
console.log(`calling ${best.hint}`);

const answer = await tools[best.path]({ a: 19, b: 23 });
return { tool: best.path, answer };
