//! What an MCP server answers, over whichever transport.

use serde_json::{Map, Value, json};

use crate::scenario::Era;

const LEGACY_VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
const MODERN_VERSION: &str = "2026-07-28";
const VERSION_IN_META: &str = "io.modelcontextprotocol/protocolVersion";
const SERVER_IN_META: &str = "io.modelcontextprotocol/serverInfo";

/// A server of MCP proper, without transport or authorization.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol<'a> {
    pub(crate) era: Era,
    pub(crate) version: Option<&'a str>,
    pub(crate) tools: u32,
}

/// What a message is answered with.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// A notification or a response: nothing.
    Nothing,
    /// A result, or an error that only its JSON tells.
    Message(Value),
    /// A request with a method that the era does not have; the error that says so.
    UnknownMethod { modern: bool, message: Value },
    /// Not a request that the era allows; the error that says so.
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
        let asked = params["_meta"][VERSION_IN_META].as_str();
        let modern = match self.era {
            Era::Legacy => false,
            Era::Modern => true,
            Era::Both => asked.is_some() || method == "server/discover",
        };
        let result = match (modern, method) {
            (false, "initialize") => self.initialized(params),
            (false, "ping") => json!({}),
            (false, "tools/list") => Value::Object(self.tools()),
            (true, "server/discover" | "tools/list") => {
                if let Some(refusal) = self.refuse_version(id, asked) {
                    return Answer::Malformed(refusal);
                }
                let mut fields = if method == "tools/list" {
                    self.tools()
                } else {
                    self.discovered()
                };
                fields.insert("resultType".into(), json!("complete"));
                fields.insert("ttlMs".into(), json!(0));
                fields.insert("cacheScope".into(), json!("private"));
                fields.insert("_meta".into(), json!({ SERVER_IN_META: server_info() }));
                Value::Object(fields)
            }
            _ => {
                let message = error(id, -32601, &format!("Method not found: {method}"));
                return Answer::UnknownMethod { modern, message };
            }
        };
        Answer::Message(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
    }

    fn initialized(self, params: &Value) -> Value {
        let asked = params["protocolVersion"].as_str();
        let known = LEGACY_VERSIONS
            .into_iter()
            .find(|known| asked == Some(known));
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

    /// A modern request names its version each time, and one that the server has.
    fn refuse_version(self, id: &Value, asked: Option<&str>) -> Option<Value> {
        let Some(asked) = asked else {
            let text = format!("Invalid params: `_meta` has no `{VERSION_IN_META}`");
            return Some(error(id, -32602, &text));
        };
        (asked != self.modern_version()).then(|| {
            let mut refusal = error(id, -32022, "Unsupported protocol version");
            refusal["error"]["data"] =
                json!({ "supported": [self.modern_version()], "requested": asked });
            refusal
        })
    }

    fn discovered(self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("supportedVersions".into(), json!([self.modern_version()]));
        fields.insert("capabilities".into(), json!({ "tools": {} }));
        fields
    }

    fn tools(self) -> Map<String, Value> {
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

    fn modern(method: &str) -> Value {
        request(
            method,
            json!({ "_meta": { VERSION_IN_META: MODERN_VERSION } }),
        )
    }

    fn result(answer: Answer) -> Value {
        match answer {
            Answer::Message(message) => message["result"].clone(),
            other => panic!("no result: {other:?}"),
        }
    }

    #[test]
    fn initialize_echoes_a_known_version_and_offers_its_own_for_others() {
        for (asked, given) in [
            ("2024-11-05", "2024-11-05"),
            ("2025-06-18", "2025-06-18"),
            ("2025-11-25", "2025-11-25"),
            ("2099-01-01", "2025-11-25"),
        ] {
            let message = request("initialize", json!({ "protocolVersion": asked }));
            let answer = result(server(Era::Legacy).answer(&message));
            assert_eq!(answer["protocolVersion"], given);
        }
    }

    #[test]
    fn each_era_has_its_own_methods() {
        use Era::{Both, Legacy, Modern};
        let initialize = request("initialize", json!({ "protocolVersion": "2025-11-25" }));
        for (era, message, known) in [
            (Legacy, &initialize, true),
            (Modern, &initialize, false),
            (Both, &initialize, true),
            (Legacy, &modern("server/discover"), false),
            (Modern, &modern("server/discover"), true),
            (Both, &modern("server/discover"), true),
            (Legacy, &request("ping", json!({})), true),
            (Modern, &modern("ping"), false),
            (Legacy, &request("prompts/list", json!({})), false),
        ] {
            let answer = server(era).answer(message);
            let unknown = matches!(&answer, Answer::UnknownMethod { .. });
            assert_eq!(!unknown, known, "{era:?} {message} {answer:?}");
        }
    }

    #[test]
    fn modern_results_carry_the_modern_fields() {
        let answer = result(server(Era::Modern).answer(&modern("server/discover")));
        assert_eq!(answer["supportedVersions"], json!([MODERN_VERSION]));
        assert_eq!(answer["_meta"][SERVER_IN_META]["name"], "mcp-startup-lab");
        let answer = result(server(Era::Both).answer(&modern("tools/list")));
        assert_eq!(answer["tools"].as_array().unwrap().len(), 2);
        assert_eq!(answer["resultType"], "complete");
        let answer = result(server(Era::Both).answer(&request("tools/list", json!({}))));
        assert_eq!(answer.get("resultType"), None);
    }

    #[test]
    fn a_modern_request_names_a_version_that_the_server_has() {
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
        assert_eq!(code(other.answer(&modern("server/discover"))), Some(-32022));
    }

    #[test]
    fn notifications_and_responses_are_not_answered() {
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
