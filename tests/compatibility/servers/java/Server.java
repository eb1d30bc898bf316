// A server with the Java SDK: java Server TRANSPORT VARIANT [PORT]; over HTTP the variant may be `stateless`.

import io.modelcontextprotocol.json.McpJsonDefaults;
import io.modelcontextprotocol.server.McpServer;
import io.modelcontextprotocol.server.McpServerFeatures;
import io.modelcontextprotocol.server.McpStatelessServerFeatures;
import io.modelcontextprotocol.server.transport.HttpServletSseServerTransportProvider;
import io.modelcontextprotocol.server.transport.HttpServletStatelessServerTransport;
import io.modelcontextprotocol.server.transport.HttpServletStreamableServerTransportProvider;
import io.modelcontextprotocol.server.transport.StdioServerTransportProvider;
import io.modelcontextprotocol.spec.McpSchema;
import jakarta.servlet.http.HttpServlet;
import java.net.InetSocketAddress;
import java.util.List;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;

public class Server {
  private static final McpSchema.ServerCapabilities CAPABILITIES = McpSchema.ServerCapabilities.builder().tools(true).build();
  private static final McpSchema.Tool ECHO =
      McpSchema.Tool.builder()
          .name("echo")
          .description("Return the text.")
          .inputSchema(McpJsonDefaults.getMapper(), "{\"type\":\"object\"}")
          .build();

  public static void main(String[] arguments) throws Exception {
    var json = McpJsonDefaults.getMapper();
    HttpServlet servlet;
    if (arguments[0].equals("stdio")) {
      build(McpServer.sync(new StdioServerTransportProvider(json)));
      Thread.currentThread().join();
      return;
    } else if (arguments[0].equals("sse")) {
      var transport =
          HttpServletSseServerTransportProvider.builder().jsonMapper(json).messageEndpoint("/messages").sseEndpoint("/sse").build();
      build(McpServer.sync(transport));
      servlet = transport;
    } else if (arguments[1].equals("stateless")) {
      var transport = HttpServletStatelessServerTransport.builder().jsonMapper(json).messageEndpoint("/mcp").build();
      var echo = new McpStatelessServerFeatures.SyncToolSpecification(ECHO, (context, request) -> null);
      McpServer.sync(transport).serverInfo("compatibility", "1.0.0").capabilities(CAPABILITIES).tools(List.of(echo)).build();
      servlet = transport;
    } else {
      var transport = HttpServletStreamableServerTransportProvider.builder().jsonMapper(json).mcpEndpoint("/mcp").build();
      build(McpServer.sync(transport));
      servlet = transport;
    }

    var holder = new ServletHolder(servlet);
    holder.setAsyncSupported(true);
    var context = new ServletContextHandler();
    context.setContextPath("/");
    context.addServlet(holder, "/*");
    var server = new org.eclipse.jetty.server.Server(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[2])));
    server.setHandler(context);
    server.start();
    server.join();
  }

  private static void build(McpServer.SyncSpecification<?> server) {
    var echo = McpServerFeatures.SyncToolSpecification.builder().tool(ECHO).callHandler((exchange, request) -> null).build();
    server.serverInfo("compatibility", "1.0.0").capabilities(CAPABILITIES).tools(List.of(echo)).build();
  }
}
