// A server with github.com/modelcontextprotocol/go-sdk: server TRANSPORT VARIANT [PORT]
//
// The variant consists of words: `json`, `stateless` and `modern` (only 2026-07-28). v0.go has what v0.2 needs, and v1.go what later
// versions need. before_modern.go is for versions that know only one era, and modern.go for the others.
package main

import (
	"log"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type input struct {
	Text string `json:"text"`
}

func main() {
	variant := strings.Split(os.Args[2], "-")
	has := func(word string) bool { return slices.Contains(variant, word) }
	server := mcp.NewServer(&mcp.Implementation{Name: "compatibility", Version: "1.0.0"}, serverOptions(has))
	mcp.AddTool(server, &mcp.Tool{Name: "echo", Description: "Return the text."}, echo)
	same := func(*http.Request) *mcp.Server { return server }
	switch os.Args[1] {
	case "stdio":
		log.Fatal(overStdio(server))
	case "sse":
		http.Handle("/sse", sseHandler(same))
	default:
		http.Handle("/mcp", mcp.NewStreamableHTTPHandler(same, httpOptions(has)))
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[3], nil))
}
