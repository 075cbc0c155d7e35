//! A connected agent with what its requests need on the host: accounts, and
//! settings of registries.

use std::sync::Arc;

use protocol::request::RegistryAccess;
use protocol::{Failure, Request};

use crate::connection::accounts::Accounts;
use crate::connection::agent::AgentConnection;
use crate::connection::request_stream::RequestStream;
use crate::output::Printer;

/// A connected agent.
#[derive(Debug)]
pub(crate) struct Session {
    /// Where requests go.
    pub(crate) agent: Arc<AgentConnection>,
    pub(crate) accounts: Accounts,
    /// Whether ports that open there do not open here.
    pub(crate) is_remote: bool,
    /// How registries are reached.
    pub(crate) access: RegistryAccess,
}

impl Session {
    /// Starts a request.
    pub(crate) async fn request<'a>(
        &'a self,
        request: &Request,
        printer: &'a mut Printer,
    ) -> Result<RequestStream<'a>, Failure> {
        let exchange = self.agent.request(request).await?;
        Ok(RequestStream::new(exchange, &self.accounts, printer))
    }
}
