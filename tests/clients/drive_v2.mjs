// Drives a server with `@modelcontextprotocol/client` 2.x: `drive_v2.mjs MODE http URL` or `drive_v2.mjs MODE stdio COMMAND ARG…`.
// MODE is `auto`, `legacy` or a revision of the protocol. Prints what the client saw as one JSON object.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

import { play } from './scenario.mjs';

const [, , mode, kind, target, ...args] = process.argv;
const transport = kind === 'http' ? new StreamableHTTPClientTransport(new URL(target)) : new StdioClientTransport({ command: target, args });
const versionNegotiation = ['auto', 'legacy'].includes(mode) ? { mode } : { mode: { pin: mode } };
const client = new Client({ name: 'typescript-2', version: '1' }, { versionNegotiation });
await client.connect(transport);
const answers = await play(client, (name, input, options) => client.callTool({ name, arguments: input }, options));
console.log(JSON.stringify({ version: client.getNegotiatedProtocolVersion?.() ?? null, ...answers }));
await client.close();
