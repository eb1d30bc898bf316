package main

import "github.com/mark3labs/mcp-go/server"

func overHTTP(s *server.MCPServer, variant, address string) error {
	return server.NewStreamableHTTPServer(s, server.WithStateLess(variant == "stateless")).Start(address)
}
