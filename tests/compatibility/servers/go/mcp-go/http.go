package main

import "github.com/mark3labs/mcp-go/server"

func overHTTP(s *server.MCPServer, variant, address string) error {
	var options []server.StreamableHTTPOption
	switch variant {
	case "stateless":
		options = append(options, server.WithStateLess(true))
	case "stateful":
		options = append(options, server.WithStateful(true))
	}
	return server.NewStreamableHTTPServer(s, options...).Start(address)
}
