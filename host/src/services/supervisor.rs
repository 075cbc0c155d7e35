//! Supervises one service: starts its process when its dependencies are
//! healthy, starts it again after a crash, and stops it.

use std::sync::Arc;
use std::time::Duration;

use protocol::input::Signal;
use protocol::{Failure, FailureKind};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::health;
use super::journal::Journal;
use super::launch::Launch;
use super::order::Order;
use super::process::{Exit, Process, ServiceOutput, Stop};
use super::status_table::StatusTable;
use crate::connection::session::Session;
use crate::output::{Label, Printer, duration};
use crate::report::ServiceState;

/// What the supervisor does after the process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnExit {
    /// It starts the process again after a crash.
    Restart,
    /// It waits for an order.
    Wait,
}

/// How a wait without a running process ended.
enum Interruption {
    /// It was not interrupted.
    Nothing,
    Start,
    Stop,
}

/// Supervises one service.
pub(crate) struct Supervisor {
    pub(crate) launch: Launch,
    pub(crate) on_exit: OnExit,
    pub(crate) session: Arc<Session>,
    pub(crate) status_table: StatusTable,
    /// Absent if no other command reads the output.
    pub(crate) journal: Option<Journal>,
    /// Absent if there is only one service.
    pub(crate) label: Option<Label>,
    pub(crate) printer: Printer,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    /// Whether the user has stopped the service. Only a restart starts it
    /// again.
    pub(crate) held: bool,
}

/// What follows after a process.
enum NextStep {
    /// The process ended. `healthy` is how long it was healthy.
    Ended { code: u8, healthy: Option<Duration> },
    /// The process did not start, or was not healthy. The supervisor has
    /// reported it.
    Failed,
    /// The service starts again.
    Anew,
    /// The service stays stopped until an order arrives.
    Stopped,
}

impl Supervisor {
    /// Handles orders until the channel closes. Fails only if the agent is
    /// gone.
    pub(crate) async fn run(mut self) -> Result<(), Failure> {
        while let Some(order) = self.orders.recv().await {
            match order {
                Order::Start if self.held => {}
                Order::Start | Order::Restart => {
                    self.held = false;
                    self.keep().await?;
                }
                Order::Stop(done) => self.hold(done).await,
                Order::Kill => {}
            }
        }
        Ok(())
    }

    /// Keeps the service running until an order stops it, or it has ended.
    async fn keep(&mut self) -> Result<(), Failure> {
        let mut backoff = Backoff::default();
        loop {
            if let Interruption::Stop = self.await_dependencies().await {
                return Ok(());
            }
            let next = self.once().await?;
            let name = &self.launch.name;
            let (what, rest) = match next {
                NextStep::Stopped => return Ok(()),
                NextStep::Anew => {
                    backoff.forget();
                    continue;
                }
                NextStep::Ended { code, .. } if code == 0 || self.on_exit == OnExit::Wait => {
                    self.ended(code).await;
                    return Ok(());
                }
                NextStep::Failed if self.on_exit == OnExit::Wait => {
                    self.status_table.set(name, ServiceState::Ended(1));
                    return Ok(());
                }
                NextStep::Ended { code, healthy } => {
                    (format!("{name} ended with {code}"), backoff.rest(healthy))
                }
                NextStep::Failed => (format!("{name} is not up"), backoff.rest(None)),
            };
            let again = format!("{what}; it starts again in {}", duration(rest));
            self.tell(ServiceState::Resting, &again).await;
            match self.unless_interrupted(tokio::time::sleep(rest)).await {
                Interruption::Nothing => {}
                Interruption::Start => backoff.forget(),
                Interruption::Stop => return Ok(()),
            }
            self.status_table.count_restart(&self.launch.name);
        }
    }

    /// Waits for the dependencies, unless an order stops the service first.
    async fn await_dependencies(&mut self) -> Interruption {
        self.status_table
            .set(&self.launch.name, ServiceState::Waiting);
        let status_table = self.status_table.clone();
        let needs = self.launch.depends_on.clone();
        loop {
            match self.unless_interrupted(status_table.ready(&needs)).await {
                // The service waits for its start already.
                Interruption::Start => {}
                told => return told,
            }
        }
    }

    /// Waits for `work` while no process runs. An order interrupts it.
    async fn unless_interrupted(&mut self, work: impl Future<Output = ()>) -> Interruption {
        tokio::select! {
            () = work => Interruption::Nothing,
            order = self.orders.recv() => match order {
                Some(Order::Start | Order::Restart) => Interruption::Start,
                Some(Order::Stop(done)) => {
                    self.hold(done).await;
                    Interruption::Stop
                }
                Some(Order::Kill) | None => {
                    self.status_table.set(&self.launch.name, ServiceState::Stopped);
                    Interruption::Stop
                }
            },
        }
    }

    /// Marks a service without a process as stopped.
    async fn hold(&mut self, done: oneshot::Sender<()>) {
        self.held = true;
        self.status_table
            .set(&self.launch.name, ServiceState::Stopped);
        self.status_table.written().await;
        // The receiver may be gone.
        let _ = done.send(());
    }

    /// Runs one process from its start to its end.
    async fn once(&mut self) -> Result<NextStep, Failure> {
        let name = self.launch.name.clone();
        self.status_table.set(&name, ServiceState::Starting);
        if let Some(port) = self.launch.port
            && health::is_open(&self.session, port).await
        {
            self.port_taken(port);
            return Ok(NextStep::Failed);
        }
        let output = ServiceOutput::new(
            &name,
            self.label.clone(),
            self.journal.clone(),
            self.printer.background(),
        );
        let session = Arc::clone(&self.session);
        let mut printer = self.printer.background();
        let request = match self.launch.run(&session) {
            Ok(request) => request,
            Err(failure) => {
                self.printer.failure(&failure);
                return Ok(NextStep::Failed);
            }
        };
        let mut process = Process::start(&request, &session, &mut printer, output).await?;
        let exit = self.watch_over(&mut process).await;
        process.finish();
        match exit {
            Ok(next) => Ok(next),
            Err(failure) if failure.kind == FailureKind::Machine => Err(failure),
            Err(failure) => {
                self.printer.failure(&failure);
                Ok(NextStep::Failed)
            }
        }
    }

    /// Follows a process to its end. Probes its health, and handles orders.
    async fn watch_over(&mut self, process: &mut Process<'_>) -> Result<NextStep, Failure> {
        let start = Instant::now();
        let mut background = self.printer.background();
        let launch = self.launch.clone();
        let session = Arc::clone(&self.session);
        if let Some(next) = self.await_start(process).await? {
            return Ok(next);
        }
        let health = health::wait(&launch, &session, &mut background);
        tokio::pin!(health);
        let mut healthy = None;
        let mut looks = true;
        loop {
            tokio::select! {
                code = process.ended() => {
                    let healthy = healthy.map(|since: Instant| since.elapsed());
                    return Ok(NextStep::Ended { code: code?, healthy });
                }
                found = &mut health, if looks => {
                    looks = false;
                    match found {
                        Ok(()) => {
                            healthy = Some(Instant::now());
                            self.healthy(start.elapsed()).await;
                        }
                        Err(last) => {
                            self.unhealthy(&last);
                            let stop = process.stop(&mut self.orders, launch.stop_signal).await?;
                            return Ok(self.stopped(stop, NextStep::Failed).await);
                        }
                    }
                }
                order = self.orders.recv() => {
                    self.status_table.set(&launch.name, ServiceState::Stopping);
                    let signal = match order {
                        Some(Order::Kill) | None => Some(Signal::Kill),
                        Some(Order::Start | Order::Restart | Order::Stop(_)) => launch.stop_signal,
                    };
                    let mut stop = process.stop(&mut self.orders, signal).await?;
                    match order {
                        Some(Order::Start | Order::Restart) => {}
                        Some(Order::Stop(done)) => stop.waiting.push(done),
                        Some(Order::Kill) | None => stop.is_final = true,
                    }
                    return Ok(self.stopped(stop, NextStep::Anew).await);
                }
            }
        }
    }

    /// Waits until the process runs. That takes long if layers of its image are
    /// missing. An order before that cancels the start.
    async fn await_start(
        &mut self,
        process: &mut Process<'_>,
    ) -> Result<Option<NextStep>, Failure> {
        let mut exit = Ok(Exit::Running);
        let starting = async { exit = process.started().await };
        Ok(match self.unless_interrupted(starting).await {
            Interruption::Start => Some(NextStep::Anew),
            Interruption::Stop => Some(NextStep::Stopped),
            Interruption::Nothing => match exit? {
                Exit::Running => None,
                Exit::Ended(code) => Some(NextStep::Ended {
                    code,
                    healthy: None,
                }),
            },
        })
    }

    /// Reports that a process has stopped. Returns `next`, unless an order
    /// during the stop changes that.
    async fn stopped(&mut self, stop: Stop, next: NextStep) -> NextStep {
        let name = &self.launch.name;
        if stop.took_too_long {
            let text = format!("{name} did not stop in time, and was killed");
            self.printer.warning(&text, None);
        }
        if stop.waiting.is_empty() && !stop.is_final {
            return next;
        }
        if stop.restarts && !stop.is_final {
            for done in stop.waiting {
                // The receiver may be gone.
                let _ = done.send(());
            }
            return NextStep::Anew;
        }
        self.held = true;
        let text = format!("{name} stopped");
        self.tell(ServiceState::Stopped, &text).await;
        for done in stop.waiting {
            // The receiver may be gone.
            let _ = done.send(());
        }
        NextStep::Stopped
    }
}
