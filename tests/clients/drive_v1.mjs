// Drives a server with `@modelcontextprotocol/sdk` 1.x: `drive_v1.mjs MODE http URL` or `drive_v1.mjs MODE stdio COMMAND ARG…`.
// MODE is not used: this client knows only the legacy revisions. Prints what the client saw as one JSON object.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { play } from './scenario.mjs';

const [, , , kind, target, ...args] = process.argv;
const transport = kind === 'http' ? new StreamableHTTPClientTransport(new URL(target)) : new StdioClientTransport({ command: target, args });
const client = new Client({ name: 'typescript-1', version: '1' });
await client.connect(transport);
const answers = await play(client, (name, input, options) => client.callTool({ name, arguments: input }, undefined, options));
console.log(JSON.stringify({ version: transport.protocolVersion ?? null, ...answers }));
await client.close();
