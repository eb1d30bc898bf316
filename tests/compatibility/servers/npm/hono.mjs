// A server with the npm package `@hono/mcp`: node hono.mjs http default PORT
import { serve } from '@hono/node-server';
import { StreamableHTTPTransport } from '@hono/mcp';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { Hono } from 'hono';

const port = Number(process.argv[4]);
const server = new McpServer({ name: 'compatibility', version: '1.0.0' });
server.tool('echo', 'Return the text.', async () => ({ content: [{ type: 'text', text: 'text' }] }));
const transport = new StreamableHTTPTransport();
const app = new Hono();
app.all('/mcp', async (context) => {
  if (!server.isConnected()) await server.connect(transport);
  return transport.handleRequest(context);
});
serve({ fetch: app.fetch, hostname: '127.0.0.1', port });
