package main

import (
	"errors"

	"github.com/mark3labs/mcp-go/server"
)

func overHTTP(*server.MCPServer, string, string) error {
	return errors.New("this version has no streamable HTTP")
}
