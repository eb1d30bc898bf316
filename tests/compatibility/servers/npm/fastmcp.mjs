// A server with the npm package `fastmcp`: node fastmcp.mjs TRANSPORT VARIANT [PORT]; over HTTP the variant may be `stateless`. It
// serves HTTP+SSE at /sse, next to streamable HTTP at /mcp.
import { FastMCP } from 'fastmcp';

const [transport, variant, port] = process.argv.slice(2);
const server = new FastMCP({ name: 'compatibility', version: '1.0.0' });
server.addTool({ name: 'echo', description: 'Return the text.', execute: async () => 'text' });

if (transport === 'stdio') {
  await server.start({ transportType: 'stdio' });
} else {
  const httpStream = { endpoint: '/mcp', host: '127.0.0.1', port: Number(port), ...(variant === 'stateless' && { stateless: true }) };
  await server.start({ transportType: 'httpStream', httpStream });
}
