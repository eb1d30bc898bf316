// A server with the npm package `fastmcp`: node fastmcp.mjs TRANSPORT VARIANT [PORT]; over HTTP the variant may be `stateless`.
import { FastMCP } from 'fastmcp';

const [transport, variant, port] = process.argv.slice(2);
const server = new FastMCP({ name: 'compatibility', version: '1.0.0' });
server.addTool({ name: 'echo', description: 'Return the text.', execute: async () => 'text' });

if (transport === 'stdio') {
  await server.start({ transportType: 'stdio' });
} else if (transport === 'sse') {
  await server.start({ transportType: 'sse', sse: { endpoint: '/sse', port: Number(port) } });
} else {
  const httpStream = { endpoint: '/mcp', host: '127.0.0.1', port: Number(port), ...(variant === 'stateless' && { stateless: true }) };
  await server.start({ transportType: 'httpStream', httpStream });
}
