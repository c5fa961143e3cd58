//! The small services that go-plugin expects beside the provider's own.

use std::pin::Pin;

use futures_util::stream::{self, Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tonic_health::{ServingStatus, pb::health_server};

use self::goplugin::{
    ConnInfo, StdioData,
    grpc_broker_server::{GrpcBroker, GrpcBrokerServer},
    grpc_controller_server::{GrpcController, GrpcControllerServer},
    grpc_stdio_server::{GrpcStdio, GrpcStdioServer},
};

/// Code generated from `proto/goplugin.proto`.
#[allow(missing_docs, unused_qualifications, clippy::pedantic)]
mod goplugin {
    tonic::include_proto!("plugin");
}

/// The name go-plugin asks the health service for.
const HEALTH_NAME: &str = "plugin";

#[derive(Clone)]
pub(super) struct Companions {
    quit: CancellationToken,
}

type Quiet<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Companions {
    pub(super) fn new(quit: CancellationToken) -> Self {
        Self { quit }
    }

    pub(super) fn controller(&self) -> GrpcControllerServer<Self> {
        GrpcControllerServer::new(self.clone())
    }

    pub(super) fn stdio(&self) -> GrpcStdioServer<Self> {
        GrpcStdioServer::new(self.clone())
    }

    pub(super) fn broker(&self) -> GrpcBrokerServer<Self> {
        GrpcBrokerServer::new(self.clone())
    }

    pub(super) async fn health(
        &self,
    ) -> health_server::HealthServer<impl health_server::Health + use<>> {
        let (reporter, service) = tonic_health::server::health_reporter();
        reporter
            .set_service_status(HEALTH_NAME, ServingStatus::Serving)
            .await;
        service
    }

    /// A stream that carries nothing and ends with the process.
    fn quiet<T: Send + 'static>(&self) -> Quiet<T> {
        let end = self.quit.clone().cancelled_owned();
        stream::pending().take_until(end).boxed()
    }
}

#[tonic::async_trait]
impl GrpcController for Companions {
    async fn shutdown(&self, _: Request<()>) -> Result<Response<()>, Status> {
        // The server answers what it has accepted before it ends.
        self.quit.cancel();
        Ok(Response::new(()))
    }
}

#[tonic::async_trait]
impl GrpcStdio for Companions {
    /// Nothing is printed after the handshake, so there is nothing to carry.
    async fn stream_stdio(&self, _: Request<()>) -> Result<Response<Quiet<StdioData>>, Status> {
        Ok(Response::new(self.quiet()))
    }
}

#[tonic::async_trait]
impl GrpcBroker for Companions {
    /// Terraform opens the broker's stream and never asks for a connection.
    async fn start_stream(
        &self,
        _: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Quiet<ConnInfo>>, Status> {
        Ok(Response::new(self.quiet()))
    }
}
