//! The SDK's requests to the authorization server, sent through the guarded client.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use http::header::{ACCEPT, CONTENT_TYPE};
use rmcp::transport::auth::{
    AuthError, OAuthHttpClient, OAuthHttpClientFuture, OAuthHttpRequest, StateStore,
    StoredAuthorizationState,
};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::network::{GuardedClient, RequestLog};
use crate::oauth::client_authentication::{ClientAuthentication, rejects_client};
use crate::oauth::token_endpoint::{self, NoReply, Reply};

/// Holds the SDK's state of one sign-in, which becomes part of the pending sign-in.
#[derive(Clone, Default)]
pub(super) struct KeptState(Arc<Mutex<Option<StoredAuthorizationState>>>);

impl KeptState {
    pub fn holding(state: StoredAuthorizationState) -> Self {
        Self(Arc::new(Mutex::new(Some(state))))
    }

    pub fn take(&self) -> Option<StoredAuthorizationState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait::async_trait]
impl StateStore for KeptState {
    async fn save(
        &self,
        _csrf_token: &str,
        state: StoredAuthorizationState,
    ) -> Result<(), AuthError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        Ok(())
    }

    async fn load(&self, csrf_token: &str) -> Result<Option<StoredAuthorizationState>, AuthError> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(state.clone().filter(|state| state.csrf_token == csrf_token))
    }

    async fn delete(&self, _csrf_token: &str) -> Result<(), AuthError> {
        self.take();
        Ok(())
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Sends the SDK's requests through the guarded client, and keeps the last reply.
#[derive(Clone)]
pub(super) struct SignInHttp {
    guarded: GuardedClient,
    /// The resource exactly as published. The SDK has it as a URL, which can end with an extra slash. `None` leaves it out.
    resource: Option<String>,
    log: RequestLog,
    /// When the replies must have arrived.
    deadline: Instant,
    /// The client that exchanges the code. The SDK sends its secret at one place only.
    client: Option<ClientAuthentication>,
    reply: Arc<Mutex<Option<Reply>>>,
}

impl SignInHttp {
    /// The caller waits for the replies for `limit`.
    pub fn new(
        guarded: GuardedClient,
        resource: Option<String>,
        log: RequestLog,
        limit: Duration,
    ) -> Self {
        Self {
            guarded,
            resource,
            log,
            deadline: token_endpoint::reply_deadline(limit),
            client: None,
            reply: Arc::default(),
        }
    }

    /// Sends the forms of the SDK as this client.
    pub fn with_client(self, client: ClientAuthentication) -> Self {
        Self {
            client: Some(client),
            ..self
        }
    }

    /// Sends JSON, and returns the reply if there is one.
    pub async fn post_json(&self, url: Url, body: &Value) -> Option<Reply> {
        let mut request = reqwest::Request::new(reqwest::Method::POST, url);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json.clone());
        request.headers_mut().insert(ACCEPT, json);
        *request.body_mut() = Some(body.to_string().into());
        let reply = self.send(request).await;
        reply.ok()
    }

    async fn send(&self, request: reqwest::Request) -> Result<Reply, NoReply> {
        token_endpoint::send(&self.guarded, request, &self.log, None, self.deadline).await
    }

    pub fn take_reply(&self) -> Option<Reply> {
        self.reply
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl SignInHttp {
    /// Sends a form of the SDK. If the authorization server rejects the client, the form is sent again with its secret at another
    /// place. The first refusal counts if all of them are refused.
    async fn send_form(
        &self,
        client: &ClientAuthentication,
        endpoint: Url,
        form: &[u8],
    ) -> Result<Reply, NoReply> {
        let is_replaced = |name: &str| matches!(name, "resource" | "client_id" | "client_secret");
        let fields = url::form_urlencoded::parse(form).filter(|(name, _)| !is_replaced(name));
        let fields = {
            let mut written = url::form_urlencoded::Serializer::new(String::new());
            written.extend_pairs(fields);
            if let Some(resource) = &self.resource {
                written.append_pair("resource", resource);
            }
            written.finish()
        };
        let send = async |place| {
            let request = client.request(&self.guarded, endpoint.clone(), fields.clone(), place)?;
            self.send(request).await
        };
        let first = send(client.place()).await?;
        if !rejects_client(&first) {
            return Ok(first);
        }
        for place in &client.places()[1..] {
            if !token_endpoint::has_time(self.deadline) {
                break;
            }
            match send(*place).await {
                Ok(reply) if reply.status.is_success() => return Ok(reply),
                Ok(reply) if rejects_client(&reply) => {}
                _ => break,
            }
        }
        Ok(first)
    }
}

impl OAuthHttpClient for SignInHttp {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request.request)?;
            let content_type = request.headers().get(CONTENT_TYPE);
            let is_form = content_type.is_some_and(|value| value == FORM);
            let form = request.body().and_then(reqwest::Body::as_bytes);
            let reply = match (&self.client, form.filter(|_| is_form)) {
                (Some(client), Some(form)) => {
                    self.send_form(client, request.url().clone(), form).await?
                }
                _ => self.send(request).await?,
            };
            let (status, headers, body) = (reply.status, reply.headers.clone(), reply.body.clone());
            *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
            let mut response = http::Response::builder().status(status);
            if let Some(target) = response.headers_mut() {
                *target = headers;
            }
            Ok(response.body(body)?)
        })
    }
}
