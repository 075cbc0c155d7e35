//! A connected agent, with the accounts and the settings of registries that its
//! requests need.

use std::sync::Arc;

use protocol::request::RegistryAccess;
use protocol::{Failure, Request};

use crate::connection::accounts::Accounts;
use crate::connection::agent::AgentConnection;
use crate::connection::request_stream::RequestStream;
use crate::output::Printer;

/// A connected agent, and what its requests need.
#[derive(Debug)]
pub(crate) struct Session {
    /// The connection.
    pub(crate) agent: Arc<AgentConnection>,
    pub(crate) accounts: Accounts,
    /// Whether the agent has another network than this system, so that ports
    /// must be forwarded.
    pub(crate) is_remote: bool,
    /// How the agent reaches registries.
    pub(crate) access: RegistryAccess,
}

impl Session {
    /// Sends a request.
    pub(crate) async fn request<'a>(
        &'a self,
        request: &Request,
        printer: &'a mut Printer,
    ) -> Result<RequestStream<'a>, Failure> {
        let exchange = self.agent.request(request).await?;
        Ok(RequestStream::new(exchange, &self.accounts, printer))
    }
}
