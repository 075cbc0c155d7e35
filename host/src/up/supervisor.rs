//! The task of one service: it starts the process when all is there that it
//! needs, starts it again when it crashes, and stops it.

use std::sync::Arc;
use std::time::Duration;

use protocol::input::Signal;
use protocol::request::{EnvVar, RunRequest, Stdio};
use protocol::{Failure, FailureKind, Request};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::board::{Board, State};
use super::health;
use super::journal::Journal;
use super::process::{Exit, Output, Process};
use crate::client::Client;
use crate::printer::{Label, Printer, duration};
use crate::settings::{HealthCheck, Probe};

/// What is started, and how.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// The service's name.
    pub(crate) name: String,
    pub(crate) image: String,
    /// Process type, when there is no command.
    pub(crate) process: Option<String>,
    /// Arguments, or a command when `direct`.
    pub(crate) args: Vec<String>,
    pub(crate) direct: bool,
    pub(crate) env: Vec<EnvVar>,
    pub(crate) port: Option<u16>,
    pub(crate) health: HealthCheck,
    pub(crate) depends_on: Vec<String>,
    pub(crate) stop_signal: Signal,
    pub(crate) stdio: Stdio,
}

impl Launch {
    /// Asks for its process.
    fn run(&self, client: &Client) -> Request {
        Request::Run(RunRequest {
            image: self.image.clone(),
            process: self.process.clone(),
            args: self.args.clone(),
            direct: self.direct,
            env: self.env.clone(),
            stdio: self.stdio,
            access: client.access.clone(),
        })
    }

    /// Asks for a command in its environment.
    pub(super) fn request(&self, command: Vec<String>, client: &Client) -> Request {
        Request::Run(RunRequest {
            image: self.image.clone(),
            process: None,
            args: command,
            direct: true,
            env: self.env.clone(),
            stdio: Stdio::Pipes,
            access: client.access.clone(),
        })
    }
}

/// What becomes of a service whose process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnExit {
    /// After a crash it starts again.
    Restart,
    /// It waits for an order.
    Wait,
}

/// What a supervisor is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Start; what runs is stopped first.
    Start,
    /// Stop, and tell when that is done.
    Stop(oneshot::Sender<()>),
    /// Stop at once.
    Kill,
}

/// Supervises one service.
pub(crate) struct Supervisor {
    pub(crate) launch: Launch,
    pub(crate) on_exit: OnExit,
    pub(crate) client: Arc<Client>,
    pub(crate) board: Board,
    /// Absent when nobody reads the output later.
    pub(crate) journal: Option<Journal>,
    /// Absent when there is one service only.
    pub(crate) label: Option<Label>,
    pub(crate) printer: Printer,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    /// Whether it was stopped by hand: nothing starts it any more.
    pub(crate) held: bool,
}

/// Why a service does not go on as it was.
enum Turn {
    /// Its process ended; it was healthy so long.
    Ended { code: u8, healthy: Option<Duration> },
    /// It cannot be started, for a reason that was told.
    Failed,
    /// It is to start anew.
    Anew,
    /// It is to stay as it is until it is told otherwise.
    Stopped,
}

impl Supervisor {
    /// Works until nobody gives orders any more. Fails only with the agent.
    pub(crate) async fn run(mut self) -> Result<(), Failure> {
        while let Some(order) = self.orders.recv().await {
            match order {
                Order::Start if self.held => {}
                Order::Start => self.keep().await?,
                Order::Stop(done) => {
                    self.held = true;
                    self.board.set(&self.launch.name, State::Stopped);
                    // Nobody may wait for it.
                    let _ = done.send(());
                }
                Order::Kill => {}
            }
        }
        Ok(())
    }

    /// Keeps the service running until it is to be stopped, or has ended.
    async fn keep(&mut self) -> Result<(), Failure> {
        let mut backoff = Backoff::default();
        loop {
            let turn = match self.await_dependencies().await {
                Some(turn) => turn,
                None => self.once().await?,
            };
            let rest = match turn {
                Turn::Stopped => return Ok(()),
                Turn::Anew => {
                    backoff.forget();
                    continue;
                }
                Turn::Ended { code, .. } if code == 0 || self.on_exit == OnExit::Wait => {
                    self.ended(code);
                    return Ok(());
                }
                Turn::Failed if self.on_exit == OnExit::Wait => {
                    self.board.set(&self.launch.name, State::Ended(1));
                    return Ok(());
                }
                Turn::Ended { code, healthy } => {
                    let rest = backoff.rest(healthy);
                    let what = format!("{} ended with {code}", self.launch.name);
                    self.tell(State::Resting, &again(&what, rest));
                    rest
                }
                Turn::Failed => {
                    let rest = backoff.rest(None);
                    let what = format!("{} cannot be started", self.launch.name);
                    self.tell(State::Resting, &again(&what, rest));
                    rest
                }
            };
            if let Turn::Stopped = self.unless_told(tokio::time::sleep(rest)).await {
                return Ok(());
            }
            self.board.count_restart(&self.launch.name);
        }
    }

    /// Waits for what the service depends on, unless an order comes first.
    async fn await_dependencies(&mut self) -> Option<Turn> {
        self.board.set(&self.launch.name, State::Waiting);
        let board = self.board.clone();
        let needs = self.launch.depends_on.clone();
        let turn = self.unless_told(board.ready(&needs)).await;
        matches!(turn, Turn::Stopped).then_some(turn)
    }

    /// Waits for something; an order to stop ends that at once, one to start
    /// what waits anyway changes nothing.
    async fn unless_told(&mut self, work: impl Future<Output = ()>) -> Turn {
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = &mut work => return Turn::Anew,
                order = self.orders.recv() => match order {
                    Some(Order::Start) => {}
                    Some(Order::Stop(done)) => {
                        self.held = true;
                        self.board.set(&self.launch.name, State::Stopped);
                        let _ = done.send(());
                        return Turn::Stopped;
                    }
                    Some(Order::Kill) | None => return Turn::Stopped,
                },
            }
        }
    }

    /// One process, from its start to its end.
    async fn once(&mut self) -> Result<Turn, Failure> {
        let name = self.launch.name.clone();
        self.board.set(&name, State::Starting);
        if let Some(port) = self.launch.port
            && health::is_open(&self.client, port).await
        {
            let failure = Failure::new(
                FailureKind::Invalid,
                format!("{name} needs port {port}, on which another program listens"),
            );
            let failure = failure.with_hint("stop that one, or give the service another `port`");
            self.printer.failure(&failure);
            return Ok(Turn::Failed);
        }
        let output = Output::new(
            &name,
            self.label.clone(),
            self.journal.clone(),
            self.printer.aside(),
        );
        let client = Arc::clone(&self.client);
        let mut printer = self.printer.aside();
        let request = self.launch.run(&client);
        let mut process = Process::start(&request, &client, &mut printer, output).await?;
        let exit = self.watch_over(&mut process).await;
        process.finish();
        match exit {
            Ok(turn) => Ok(turn),
            Err(failure) if failure.kind == FailureKind::Machine => Err(failure),
            Err(failure) => {
                self.printer.failure(&failure);
                Ok(Turn::Failed)
            }
        }
    }

    /// Follows a process to its end: looks whether it is healthy, does what it
    /// is told.
    async fn watch_over(&mut self, process: &mut Process<'_>) -> Result<Turn, Failure> {
        let start = Instant::now();
        let mut aside = self.printer.aside();
        let launch = self.launch.clone();
        let client = Arc::clone(&self.client);
        match process.started().await? {
            Exit::Running => {}
            Exit::Ended(code) => {
                return Ok(Turn::Ended {
                    code,
                    healthy: None,
                });
            }
        }
        let health = health::wait(&launch, &client, &mut aside);
        tokio::pin!(health);
        let mut healthy = None;
        let mut looks = true;
        loop {
            tokio::select! {
                code = process.ended() => {
                    let healthy = healthy.map(|since: Instant| since.elapsed());
                    return Ok(Turn::Ended { code: code?, healthy });
                }
                found = &mut health, if looks => {
                    looks = false;
                    match found {
                        Ok(()) => {
                            healthy = Some(Instant::now());
                            self.healthy(start.elapsed());
                        }
                        Err(last) => {
                            self.unhealthy(&last);
                            process.stop(&mut self.orders, launch.stop_signal).await?;
                            return Ok(Turn::Failed);
                        }
                    }
                }
                order = self.orders.recv() => {
                    self.board.set(&launch.name, State::Stopping);
                    let signal = match &order {
                        Some(Order::Kill) | None => Signal::Kill,
                        Some(_) => launch.stop_signal,
                    };
                    let killed = process.stop(&mut self.orders, signal).await?;
                    if killed && signal != Signal::Kill {
                        let text = format!("{} did not stop in time, and was killed", launch.name);
                        self.printer.warning(&text, None);
                    }
                    return Ok(self.stopped(order));
                }
            }
        }
    }

    /// What an order means to a process that has stopped because of it.
    fn stopped(&mut self, order: Option<Order>) -> Turn {
        match order {
            Some(Order::Start) => Turn::Anew,
            Some(Order::Stop(done)) => {
                self.held = true;
                self.tell(State::Stopped, &format!("{} stopped", self.launch.name));
                let _ = done.send(());
                Turn::Stopped
            }
            Some(Order::Kill) | None => {
                self.board.set(&self.launch.name, State::Stopped);
                Turn::Stopped
            }
        }
    }

    fn healthy(&mut self, time: Duration) {
        let name = &self.launch.name;
        let time = duration(time);
        let place = match self.launch.port {
            Some(port) if !self.client.is_elsewhere => format!(" at http://localhost:{port}"),
            _ => String::new(),
        };
        let text = match (self.on_exit, &self.launch.health.probe) {
            (OnExit::Wait, _) => return self.board.set(name, State::Healthy),
            (OnExit::Restart, Probe::Started) => format!("{name} has started"),
            (OnExit::Restart, _) => format!("{name} is up{place} ({time})"),
        };
        self.tell(State::Healthy, &text);
    }

    fn unhealthy(&mut self, last: &str) {
        let name = &self.launch.name;
        let time = duration(self.launch.health.timeout);
        let failure = Failure::new(
            FailureKind::Invalid,
            format!("{name} is not healthy {time} after its start: {last}"),
        );
        let failure = failure
            .with_hint("`health_check` in locald.toml says how it is looked at, and how long");
        self.printer.failure(&failure);
    }

    fn ended(&mut self, code: u8) {
        let name = &self.launch.name;
        let text = match self.on_exit {
            OnExit::Restart => format!("{name} ended with {code}"),
            OnExit::Wait => {
                format!("{name} ended with {code}: a change of the source starts it again")
            }
        };
        self.tell(State::Ended(code), &text);
    }

    fn tell(&mut self, state: State, text: &str) {
        self.board.set(&self.launch.name, state);
        self.printer
            .service_state(&self.launch.name, state.name(), text);
    }
}

fn again(what: &str, rest: Duration) -> String {
    format!("{what}; it starts again in {}", duration(rest))
}
