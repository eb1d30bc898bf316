// A server with the npm package `@modelcontextprotocol/server` 2.x: node server.mjs TRANSPORT VARIANT [PORT]
//
// The variant is `dual` or `modern` (the entry points of the SDK, which serve the modern era) or `legacy` (its transports of the
// earlier era, connected by hand), which may be `legacy-stateless`.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer, createMcpHandler } from '@modelcontextprotocol/server';
import { StdioServerTransport, serveStdio } from '@modelcontextprotocol/server/stdio';
import * as z from 'zod';

const [transport, variant, port] = process.argv.slice(2);

function create() {
  const server = new McpServer({ name: 'compatibility', version: '1.0.0' });
  const echo = { description: 'Return the text.', inputSchema: z.object({ text: z.string() }) };
  server.registerTool('echo', echo, async ({ text }) => ({ content: [{ type: 'text', text }] }));
  return server;
}

function legacyHandler() {
  const sessions = new Map();
  return async (request, response) => {
    if (request.url === '/sessions') return response.writeHead(200).end(String(sessions.size));
    let text = '';
    for await (const part of request) text += part;
    const body = text ? JSON.parse(text) : undefined;
    const isStateless = variant === 'legacy-stateless';
    const known = sessions.get(request.headers['mcp-session-id']);
    if (known) return known.handleRequest(request, response, body);
    if (!isStateless && body?.method !== 'initialize') {
      const refusal = { jsonrpc: '2.0', error: { code: -32000, message: 'Bad Request: No valid session ID provided' }, id: null };
      return response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify(refusal));
    }
    const options = isStateless
      ? { sessionIdGenerator: undefined }
      : {
          sessionIdGenerator: randomUUID,
          onsessioninitialized: (id) => sessions.set(id, session),
          onsessionclosed: (id) => sessions.delete(id),
        };
    const session = new NodeStreamableHTTPServerTransport(options);
    await create().connect(session);
    return session.handleRequest(request, response, body);
  };
}

if (transport === 'stdio') {
  if (variant === 'legacy') await create().connect(new StdioServerTransport());
  else serveStdio(create, { legacy: variant === 'modern' ? 'reject' : 'serve' });
} else {
  const handle = variant.startsWith('legacy')
    ? legacyHandler()
    : toNodeHandler(createMcpHandler(create, { legacy: variant === 'modern' ? 'reject' : 'stateless' }));
  createServer((request, response) => {
    if (request.url === '/mcp' || (request.url === '/sessions' && variant.startsWith('legacy'))) handle(request, response);
    else response.writeHead(404).end();
  }).listen(Number(port), '127.0.0.1');
}
