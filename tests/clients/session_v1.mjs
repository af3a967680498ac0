// `@modelcontextprotocol/sdk` 1.x that stays connected, see session.mjs: `session_v1.mjs http URL` or `session_v1.mjs stdio COMMAND ARG…`.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { stay } from './session.mjs';

const [, , kind, target, ...args] = process.argv;
const transport = kind === 'http' ? new StreamableHTTPClientTransport(new URL(target)) : new StdioClientTransport({ command: target, args });
const client = new Client({ name: 'typescript-1', version: '1' });
await client.connect(transport);
await stay(client, (name, input, options) => client.callTool({ name, arguments: input }, undefined, options));
