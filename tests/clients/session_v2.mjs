// `@modelcontextprotocol/client` 2.x that stays connected, see session.mjs: `session_v2.mjs http URL` or `session_v2.mjs stdio COMMAND ARG…`.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

import { stay } from './session.mjs';

const [, , kind, target, ...args] = process.argv;
const transport = kind === 'http' ? new StreamableHTTPClientTransport(new URL(target)) : new StdioClientTransport({ command: target, args });
const client = new Client({ name: 'typescript-2', version: '1' }, { versionNegotiation: { mode: 'auto' } });
await client.connect(transport);
await stay(client, (name, input, options) => client.callTool({ name, arguments: input }, options));
