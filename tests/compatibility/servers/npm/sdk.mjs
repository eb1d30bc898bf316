// A server with the npm package `@modelcontextprotocol/sdk`: node sdk.mjs TRANSPORT VARIANT [PORT]
//
// Over HTTP, the variant is `default` or `json` (a transport for each session, as in the examples of the SDK), `stateless` (a
// transport for each request) or `single` (one transport for all clients, so that only one session is possible).
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const [transport, variant, port] = process.argv.slice(2);

async function connect(to) {
  const server = new Server({ name: 'compatibility', version: '1.0.0' }, { capabilities: { tools: {} } });
  const inputSchema = { type: 'object', properties: { text: { type: 'string' } } };
  server.setRequestHandler(ListToolsRequestSchema, async () => ({ tools: [{ name: 'echo', description: 'Return the text.', inputSchema }] }));
  await server.connect(to);
  return server;
}

function text(response, status, body) {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(body);
}

function refuse(response, status, code, message) {
  const body = { jsonrpc: '2.0', error: { code, message }, id: null };
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));
}

async function read(request) {
  let body = '';
  for await (const part of request) body += part;
  return body && JSON.parse(body);
}

async function httpSse() {
  const { SSEServerTransport } = await import('@modelcontextprotocol/sdk/server/sse.js');
  const streams = new Map(); // Before 1.0, a transport has no session ID.
  return async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    if (request.method === 'GET' && pathname === '/sse') {
      const stream = new SSEServerTransport('/messages', response);
      streams.set(stream.sessionId ?? null, stream);
      response.on('close', () => streams.delete(stream.sessionId ?? null));
      await connect(stream);
    } else if (request.method === 'POST' && pathname === '/messages') {
      const stream = streams.get(searchParams.get('sessionId'));
      if (stream) await stream.handlePostMessage(request, response);
      else text(response, 400, 'No transport found for sessionId');
    } else {
      // The answer of Express for a route that does not exist.
      text(response, 404, `<!DOCTYPE html>\n<html><body><pre>Cannot ${request.method} ${pathname}</pre></body></html>`);
    }
  };
}

async function streamableHttp() {
  const { StreamableHTTPServerTransport } = await import('@modelcontextprotocol/sdk/server/streamableHttp.js');
  const enableJsonResponse = variant === 'json';
  const sessions = new Map();
  const withSession = () =>
    new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, own),
      enableJsonResponse,
    });
  let own;
  if (variant === 'single') await connect((own = withSession()));
  return async (request, response) => {
    if (request.url === '/sessions') return text(response, 200, String(variant === 'single' ? '' : sessions.size));
    if (!request.url.startsWith('/mcp')) return text(response, 404, 'Not found');
    const body = request.method === 'POST' ? await read(request) : undefined;
    if (variant === 'single') return own.handleRequest(request, response, body);
    if (variant === 'stateless') {
      if (request.method !== 'POST') return refuse(response, 405, -32000, 'Method not allowed.');
      const once = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse });
      const server = await connect(once);
      response.on('close', () => { once.close(); server.close(); });
      return once.handleRequest(request, response, body);
    }
    const id = request.headers['mcp-session-id'];
    const known = sessions.get(id);
    if (known) return known.handleRequest(request, response, body);
    if (request.method !== 'POST') return text(response, 400, 'Invalid or missing session ID');
    if (id || body?.method !== 'initialize') return refuse(response, 400, -32000, 'Bad Request: No valid session ID provided');
    const session = (own = withSession());
    const server = await connect(session);
    server.onclose = () => sessions.delete(session.sessionId);
    return session.handleRequest(request, response, body);
  };
}

if (transport === 'stdio') {
  const { StdioServerTransport } = await import('@modelcontextprotocol/sdk/server/stdio.js');
  await connect(new StdioServerTransport());
} else {
  const handle = await (transport === 'sse' ? httpSse() : streamableHttp());
  createServer((request, response) => {
    handle(request, response).catch((error) => {
      console.error(error);
      if (!response.headersSent) refuse(response, 500, -32603, 'Internal server error');
    });
  }).listen(Number(port), '127.0.0.1');
}
