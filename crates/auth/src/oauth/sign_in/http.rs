//! The SDK's requests to the authorization server, sent through the guarded client.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use rmcp::transport::auth::{
    AuthError, OAuthHttpClient, OAuthHttpClientFuture, OAuthHttpRequest, StateStore,
    StoredAuthorizationState,
};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::network::{GuardedClient, RequestLog};
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
            reply: Arc::default(),
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

impl OAuthHttpClient for SignInHttp {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            let mut request = reqwest::Request::try_from(request.request)?;
            let is_form = request
                .headers()
                .get(CONTENT_TYPE)
                .is_some_and(|value| value == FORM);
            let form = request.body().and_then(reqwest::Body::as_bytes);
            if let Some(form) = form.filter(|_| is_form) {
                let pairs =
                    url::form_urlencoded::parse(form).filter(|(name, _)| name != "resource");
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(pairs);
                if let Some(resource) = &self.resource {
                    form.append_pair("resource", resource);
                }
                let form = form.finish();
                request.headers_mut().remove(CONTENT_LENGTH);
                *request.body_mut() = Some(form.into());
            }
            let reply = self.send(request).await?;
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
