//! The answers of an MCP server in each era of the protocol. It knows no transport and no authorization.

use serde_json::{Map, Value, json};

use crate::scenario::Era;

const LEGACY_VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
const MODERN_VERSION: &str = "2026-07-28";
const META_PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// An MCP server without transport or authorization.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol<'a> {
    pub(crate) era: Era,
    pub(crate) version: Option<&'a str>,
    pub(crate) tools: u32,
}

/// The answer to a message.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// No answer, because the message is a notification or a response.
    Nothing,
    /// A result.
    Message(Value),
    /// The error for a request whose method the era does not have.
    UnknownMethod { modern: bool, message: Value },
    /// The error for a message that is not a valid request of the era.
    Malformed(Value),
}

/// The JSON-RPC method of a message, if it has one.
pub(crate) fn method(message: &Value) -> Option<&str> {
    message.get("method").and_then(Value::as_str)
}

pub(crate) fn error(id: &Value, code: i64, text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": text } })
}

impl Protocol<'_> {
    pub(crate) fn answer(self, message: &Value) -> Answer {
        if !message.is_object() {
            return Answer::Malformed(error(&Value::Null, -32600, "Invalid request"));
        }
        let (Some(method), Some(id)) = (method(message), message.get("id")) else {
            return Answer::Nothing;
        };
        let params = &message["params"];
        let requested = params["_meta"][META_PROTOCOL_VERSION].as_str();
        let modern = match self.era {
            Era::Legacy => false,
            Era::Modern => true,
            Era::Both => requested.is_some() || method == "server/discover",
        };
        let result = match (modern, method) {
            (false, "initialize") => self.initialize_result(params),
            (false, "ping") => json!({}),
            (false, "tools/list") => Value::Object(self.tools_result()),
            (true, "server/discover" | "tools/list") => {
                if let Some(error) = self.version_error(id, requested) {
                    return Answer::Malformed(error);
                }
                let mut fields = if method == "tools/list" {
                    self.tools_result()
                } else {
                    self.discover_result()
                };
                fields.insert("resultType".into(), json!("complete"));
                fields.insert("ttlMs".into(), json!(0));
                fields.insert("cacheScope".into(), json!("private"));
                fields.insert("_meta".into(), json!({ META_SERVER_INFO: server_info() }));
                Value::Object(fields)
            }
            _ => {
                let message = error(id, -32601, &format!("Method not found: {method}"));
                return Answer::UnknownMethod { modern, message };
            }
        };
        Answer::Message(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
    }

    fn initialize_result(self, params: &Value) -> Value {
        let requested = params["protocolVersion"].as_str();
        let known = LEGACY_VERSIONS
            .into_iter()
            .find(|known| requested == Some(known));
        let version = self.version.unwrap_or(known.unwrap_or(LEGACY_VERSIONS[0]));
        json!({
            "protocolVersion": version,
            "capabilities": { "tools": {} },
            "serverInfo": server_info(),
        })
    }

    fn modern_version(&self) -> &str {
        self.version.unwrap_or(MODERN_VERSION)
    }

    /// The error for a modern request that names no protocol version, or one that the server does not support.
    fn version_error(self, id: &Value, requested: Option<&str>) -> Option<Value> {
        let Some(requested) = requested else {
            let text = format!("Invalid params: `_meta` has no `{META_PROTOCOL_VERSION}`");
            return Some(error(id, -32602, &text));
        };
        (requested != self.modern_version()).then(|| {
            let mut unsupported = error(id, -32022, "Unsupported protocol version");
            unsupported["error"]["data"] =
                json!({ "supported": [self.modern_version()], "requested": requested });
            unsupported
        })
    }

    fn discover_result(self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("supportedVersions".into(), json!([self.modern_version()]));
        fields.insert("capabilities".into(), json!({ "tools": {} }));
        fields
    }

    fn tools_result(self) -> Map<String, Value> {
        let tool = |number: u32| {
            json!({
                "name": format!("tool-{number}"),
                "description": "Does nothing.",
                "inputSchema": { "type": "object" },
            })
        };
        let tools: Value = (1..=self.tools).map(tool).collect();
        Map::from_iter([("tools".to_owned(), tools)])
    }
}

fn server_info() -> Value {
    json!({ "name": "mcp-startup-lab", "version": env!("CARGO_PKG_VERSION") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(era: Era) -> Protocol<'static> {
        Protocol {
            era,
            version: None,
            tools: 2,
        }
    }

    fn request(method: &str, params: Value) -> Value {
        json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
    }

    fn modern_request(method: &str) -> Value {
        request(
            method,
            json!({ "_meta": { META_PROTOCOL_VERSION: MODERN_VERSION } }),
        )
    }

    fn result(answer: Answer) -> Value {
        match answer {
            Answer::Message(message) => message["result"].clone(),
            other => panic!("no result: {other:?}"),
        }
    }

    #[test]
    fn initialize_returns_the_requested_version_or_the_latest_one() {
        for (requested, offered) in [
            ("2024-11-05", "2024-11-05"),
            ("2025-06-18", "2025-06-18"),
            ("2025-11-25", "2025-11-25"),
            ("2099-01-01", "2025-11-25"),
        ] {
            let message = request("initialize", json!({ "protocolVersion": requested }));
            let answer = result(server(Era::Legacy).answer(&message));
            assert_eq!(answer["protocolVersion"], offered);
        }
    }

    #[test]
    fn each_era_has_its_methods() {
        use Era::{Both, Legacy, Modern};
        let initialize = request("initialize", json!({ "protocolVersion": "2025-11-25" }));
        for (era, message, known) in [
            (Legacy, &initialize, true),
            (Modern, &initialize, false),
            (Both, &initialize, true),
            (Legacy, &modern_request("server/discover"), false),
            (Modern, &modern_request("server/discover"), true),
            (Both, &modern_request("server/discover"), true),
            (Legacy, &request("ping", json!({})), true),
            (Modern, &modern_request("ping"), false),
            (Legacy, &request("prompts/list", json!({})), false),
        ] {
            let answer = server(era).answer(message);
            let unknown = matches!(&answer, Answer::UnknownMethod { .. });
            assert_eq!(!unknown, known, "{era:?} {message} {answer:?}");
        }
    }

    #[test]
    fn modern_results_have_the_modern_fields() {
        let answer = result(server(Era::Modern).answer(&modern_request("server/discover")));
        assert_eq!(answer["supportedVersions"], json!([MODERN_VERSION]));
        assert_eq!(answer["_meta"][META_SERVER_INFO]["name"], "mcp-startup-lab");
        let answer = result(server(Era::Both).answer(&modern_request("tools/list")));
        assert_eq!(answer["tools"].as_array().unwrap().len(), 2);
        assert_eq!(answer["resultType"], "complete");
        let answer = result(server(Era::Both).answer(&request("tools/list", json!({}))));
        assert_eq!(answer.get("resultType"), None);
    }

    #[test]
    fn modern_requests_need_a_supported_version() {
        let code = |answer| match answer {
            Answer::Malformed(message) => message["error"]["code"].as_i64(),
            other => panic!("not refused: {other:?}"),
        };
        let without = request("tools/list", json!({}));
        assert_eq!(code(server(Era::Modern).answer(&without)), Some(-32602));
        let other = Protocol {
            version: Some("2099-01-01"),
            ..server(Era::Modern)
        };
        assert_eq!(
            code(other.answer(&modern_request("server/discover"))),
            Some(-32022)
        );
    }

    #[test]
    fn notifications_and_responses_get_no_answer() {
        let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let response = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
        assert_eq!(server(Era::Legacy).answer(&notification), Answer::Nothing);
        assert_eq!(server(Era::Legacy).answer(&response), Answer::Nothing);
        assert!(matches!(
            server(Era::Legacy).answer(&json!([1])),
            Answer::Malformed(_)
        ));
    }
}
