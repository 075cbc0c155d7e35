//! Turns a response without a status of success into an error.

use reqwest::{Response, StatusCode};

use super::RegistryClient;
use crate::registry::RegistryError;
use crate::registry::refusal::message;
use crate::registry::server::Server;

impl RegistryClient {
    /// The error for a response.
    pub(in crate::registry) async fn refusal(
        &self,
        response: Response,
        what: &str,
    ) -> RegistryError {
        let status = response.status();
        let server = self.server_of(&response);
        let body = self.body(response, what).await.unwrap_or_default();
        let (registry, what) = (self.name().to_owned(), what.to_owned());
        let message = message(&body);
        match (status, &server) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Server::Registry(_)) => {
                RegistryError::Unauthorized {
                    registry,
                    what,
                    message,
                }
            }
            (StatusCode::NOT_FOUND, _) => RegistryError::NotFound { registry, what },
            _ => RegistryError::Status {
                server,
                status: status.as_u16(),
                what,
                message,
            },
        }
    }

    fn server_of(&self, response: &Response) -> Server {
        let registry = self.name().to_owned();
        if self.owns(response.url()) {
            return Server::Registry(registry);
        }
        let host = response.url().host_str().unwrap_or_default().to_owned();
        Server::Elsewhere { host, registry }
    }
}
