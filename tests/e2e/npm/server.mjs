// An MCP server with version 2 of the official TypeScript SDK, for the end-to-end tests.
//
//     node server.mjs stdio [--era dual|modern]
//     node server.mjs http --port N [--era dual|modern]     streamable HTTP at http://127.0.0.1:N/mcp; 0 for a free port
//
// When it accepts requests, it prints one line to stderr: `listening on http://127.0.0.1:N/mcp`, or `serving stdio`.
// With `modern`, the SDK rejects the `initialize` handshake.

import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer, createMcpHandler } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import * as z from 'zod';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { port: { type: 'string', default: '0' }, era: { type: 'string', default: 'dual' } },
});
const [transport] = positionals;
if (!['stdio', 'http'].includes(transport) || !['dual', 'modern'].includes(values.era)) {
  console.error('usage: node server.mjs stdio|http [--port N] [--era dual|modern]');
  process.exit(2);
}

function make() {
  const server = new McpServer({ name: 'mcp-startup-e2e-typescript', version: '1.0.0' });
  server.registerTool(
    'echo',
    { description: 'Return the text.', inputSchema: z.object({ text: z.string() }) },
    async ({ text }) => ({ content: [{ type: 'text', text }] }),
  );
  server.registerTool(
    'add',
    { description: 'Return the sum of two numbers.', inputSchema: z.object({ a: z.number(), b: z.number() }) },
    async ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] }),
  );
  return server;
}

const modern = values.era === 'modern';
if (transport === 'stdio') {
  serveStdio(make, { legacy: modern ? 'reject' : 'serve' });
  console.error('serving stdio');
} else {
  const handle = toNodeHandler(createMcpHandler(make, { legacy: modern ? 'reject' : 'stateless' }));
  const http = createServer((request, response) => {
    if (request.url === '/mcp') handle(request, response);
    else response.writeHead(404).end();
  });
  http.listen(Number(values.port), '127.0.0.1', () => {
    console.error(`listening on http://127.0.0.1:${http.address().port}/mcp`);
  });
}
