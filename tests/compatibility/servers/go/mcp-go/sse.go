package main

import "github.com/mark3labs/mcp-go/server"

func overSSE(s *server.MCPServer, origin, address string) error {
	return server.NewSSEServer(s, server.WithBaseURL(origin)).Start(address)
}
