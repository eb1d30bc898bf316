//! Asks for the first page of the tool list together with `server/discover`, so that the start of a server whose era is known takes
//! one round trip. In MCP 2026-07-28, each request carries its own context and can be sent without waiting for another response.
//!
//! The answer counts only if the SDK sends the very same request later. It is not recorded before.

use futures::FutureExt;
use rmcp::RoleClient;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, JsonRpcMessage, ListToolsRequest, NumberOrString,
    PaginatedRequestParams, ProgressToken, RequestId, RequestMetaObject,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;

use super::checked_results::numeric;

/// The ID of the early request on a connection that carries all messages. The SDK counts from 0, so a late answer can't be mistaken
/// for the one to another request.
const EARLY_ID: RequestId = RequestId::Number(i32::MAX as i64);

/// The request for the tool list that the SDK sends after this `server/discover`. `None` for any other message.
pub(crate) fn tool_list_after(message: &ClientJsonRpcMessage) -> Option<ClientJsonRpcMessage> {
    let JsonRpcMessage::Request(request) = message else {
        return None;
    };
    let ClientRequest::DiscoverRequest(discover) = &request.request else {
        return None;
    };
    let RequestId::Number(id) = request.id else {
        return None;
    };
    let mut context = discover.extensions.get::<RequestMetaObject>()?.clone();
    context.set_progress_token(ProgressToken(NumberOrString::Number(0)));
    let mut list = ListToolsRequest::with_param(PaginatedRequestParams::default());
    list.extensions.insert(context);
    Some(ClientJsonRpcMessage::request(
        ClientRequest::ListToolsRequest(list),
        RequestId::Number(id + 1),
    ))
}

/// A connection that carries all messages, such as that of a program.
pub(crate) struct EarlyToolList<T> {
    transport: T,
    state: State,
}

enum State {
    Off,
    Wanted,
    Sent {
        request: serde_json::Value,
        answer: Option<Box<RxJsonRpcMessage<RoleClient>>>,
    },
    /// The SDK has sent the request with this ID.
    Asked {
        id: RequestId,
        answer: Option<Box<RxJsonRpcMessage<RoleClient>>>,
    },
}

impl<T> EarlyToolList<T> {
    /// Unless it is `wanted`, the list is requested only when the SDK does.
    pub fn new(transport: T, wanted: bool) -> Self {
        let state = match wanted {
            true => State::Wanted,
            false => State::Off,
        };
        Self { transport, state }
    }

    /// The request to send early, if `message` is the `server/discover` of the handshake.
    fn early_request(&mut self, message: &ClientJsonRpcMessage) -> Option<ClientJsonRpcMessage> {
        if !matches!(self.state, State::Wanted) {
            return None;
        }
        let mut early = tool_list_after(message)?;
        let request = serde_json::to_value(&early).ok()?;
        if let JsonRpcMessage::Request(early) = &mut early {
            early.id = EARLY_ID;
        }
        self.state = State::Sent {
            request,
            answer: None,
        };
        Some(early)
    }

    /// Whether the request has been sent early.
    fn was_sent(&mut self, message: &ClientJsonRpcMessage) -> bool {
        let (State::Sent { request, answer }, JsonRpcMessage::Request(sent)) =
            (&mut self.state, message)
        else {
            return false;
        };
        if !matches!(sent.request, ClientRequest::ListToolsRequest(_)) {
            return false;
        }
        let is_same = serde_json::to_value(message).is_ok_and(|message| message == *request);
        let (id, answer) = (sent.id.clone(), answer.take());
        self.state = match is_same {
            true => State::Asked { id, answer },
            false => State::Off,
        };
        is_same
    }

    /// The answer to the early request, if it has arrived and the SDK waits for it.
    fn answer(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let State::Asked { id, answer } = &mut self.state else {
            return None;
        };
        let mut answer = *answer.take()?;
        match &mut answer {
            JsonRpcMessage::Response(response) => response.id = id.clone(),
            JsonRpcMessage::Error(error) => error.id = Some(id.clone()),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => {}
        }
        self.state = State::Off;
        Some(answer)
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for EarlyToolList<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let early = self.early_request(&message);
        let is_sent = early.is_none() && self.was_sent(&message);
        let mut send = |message| self.transport.send(message).boxed();
        let sending = (!is_sent).then(|| send(message));
        let early = early.map(send);
        async move {
            if let Some(sending) = sending {
                sending.await?;
            }
            if let Some(early) = early {
                // Whether the connection works is for the other request to find out.
                let _ = early.await;
            }
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            if let Some(answer) = self.answer() {
                return Some(answer);
            }
            let message = self.transport.receive().await?;
            let id = match &message {
                JsonRpcMessage::Response(response) => Some(&response.id),
                JsonRpcMessage::Error(error) => error.id.as_ref(),
                JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
            };
            if id.is_none_or(|id| numeric(id) != EARLY_ID) {
                return Some(message);
            }
            // An answer that nothing waits for is dropped.
            if let State::Sent { answer, .. } | State::Asked { answer, .. } = &mut self.state {
                *answer = Some(Box::new(message));
            }
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.transport.close()
    }
}
