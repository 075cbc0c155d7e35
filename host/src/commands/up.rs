//! Runs `locald up`.

mod images;
mod project;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{Failure, FailureKind};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use self::images::Images;
use self::project::SelectedServices;
use self::settings::ServiceSettings;
use super::{Start, announce, block_on};
use crate::cli::UpOptions;
use crate::connection::session::Session;
use crate::exit_code;
use crate::output::{Label, Printer};
use crate::platform::signals::{self, Signals};
use crate::platform::terminal;
use crate::project::Project;
use crate::report::{ServiceState, Statuses};
use crate::services::{
    Control, ControlCall, ControlReply, ControlRequest, Journal, OnExit, Order, RuntimeFolder,
    StatusTable, Supervisor,
};
use crate::settings::MachineKind;

pub(super) fn run(
    options: &UpOptions,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let project = Project::find(options.project.folder.as_deref())?;
    announce(&project, printer);
    let start = Start::at(&project.folder, machine, printer)?;
    let services = SelectedServices::choose(&project, &start.settings, &options.services)?;
    let images = Images::prepare(
        &services,
        &project,
        &start,
        options.builder.as_deref(),
        printer,
    )?;
    let identity = project.identity(&start.home)?;
    let folder = RuntimeFolder::of(&start.home.services, &identity.id);
    block_on(async {
        let lock = folder.lock()?;
        folder.forget()?;
        let session = Arc::new(start.setup.connect(printer).await?);
        let failed = |error: std::io::Error| Failure::from_error(FailureKind::Store, &error);
        let journal = Journal::create(&folder.journal()).map_err(failed)?;
        let control = Control::listen(&folder.control()).map_err(|error| no_control(&error))?;
        let ports = services.all.iter().map(|it| (it.name.as_str(), it.port));
        let (status_table, writer) = StatusTable::new(ports).shared();
        let mut tasks = JoinSet::new();
        tasks.spawn(publish(folder.clone(), status_table.look(), writer));
        let signals =
            Signals::listen().map_err(|error| Failure::from_error(FailureKind::Machine, &error))?;
        let mut up = Up {
            services,
            session,
            status_table,
            journal,
            control,
            signals,
            orders: BTreeMap::new(),
            tasks,
            watches: options.watch,
            settings: ServiceSettings::of(&project, &start.home, &start.settings),
        };
        let code = up.work(images, printer).await;
        printer.clear();
        let statuses = up.status_table.look().borrow().clone();
        folder.write(&statuses)?;
        up.control.close().await;
        drop(lock);
        code
    })
}

fn no_control(error: &std::io::Error) -> Failure {
    let failure = Failure::from_error(FailureKind::Machine, error);
    if error.kind() == std::io::ErrorKind::InvalidInput {
        let hint = "a socket's path has a limit: set LOCALD_HOME to a folder with a shorter path";
        return failure.with_hint(hint);
    }
    failure
}

/// Writes the states of the services to the runtime folder whenever they
/// change.
async fn publish(
    folder: RuntimeFolder,
    mut look: watch::Receiver<Statuses>,
    writer: watch::Sender<Statuses>,
) -> Result<(), Failure> {
    loop {
        let statuses = look.borrow_and_update().clone();
        tokio::task::block_in_place(|| folder.write(&statuses))?;
        writer.send_replace(statuses);
        if look.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// The running services, and the sources of events that affect them.
struct Up {
    services: SelectedServices,
    session: Arc<Session>,
    status_table: StatusTable,
    journal: Journal,
    control: Control,
    signals: Signals,
    orders: BTreeMap<String, mpsc::UnboundedSender<Order>>,
    tasks: JoinSet<Result<(), Failure>>,
    watches: bool,
    settings: ServiceSettings,
}

/// Why all services stop.
enum Cause {
    /// A signal arrived. This is the exit code for it.
    Signal(u8),
    /// `locald stop` requested it, and waits for this reply.
    Asked(oneshot::Sender<ControlReply>),
    /// No service runs any more.
    Over,
}

impl Up {
    async fn work(&mut self, mut images: Images, printer: &mut Printer) -> Result<u8, Failure> {
        if let Some(cause) = self.build(&mut images, printer).await? {
            return Ok(finish(cause, Vec::new(), printer));
        }
        printer.clear();
        self.start(&images, printer);
        if self.watches {
            images.watch(&self.session, &self.orders, &mut self.tasks, printer);
            let settings = self.settings.clone();
            self.tasks.spawn(settings.watch(printer.background()));
        }
        let cause = self.supervise().await?;
        if !matches!(cause, Cause::Over) {
            printer.note("Stopping all services; Ctrl-C once more stops them at once");
        }
        let stopped = self.stop_all().await;
        Ok(finish(cause, stopped, printer))
    }

    /// Builds and pulls the images. Returns a cause if the command must end
    /// before that.
    async fn build(
        &mut self,
        images: &mut Images,
        printer: &mut Printer,
    ) -> Result<Option<Cause>, Failure> {
        let building = images.build(&self.session, self.watches, printer);
        tokio::pin!(building);
        loop {
            tokio::select! {
                built = &mut building => return built.map(|()| None),
                code = signals::end(&mut self.signals) => return Ok(Some(Cause::Signal(code))),
                call = self.control.next() => match call.request {
                    ControlRequest::Stop(names) if names.is_empty() => {
                        return Ok(Some(Cause::Asked(call.reply)));
                    }
                    ControlRequest::Stop(_) | ControlRequest::Restart(_) => {
                        let text = "no service is up yet: images are built first".to_owned();
                        let _ = call.reply.send(ControlReply::Refused(text));
                    }
                },
            }
        }
    }

    /// Starts a supervisor for each service.
    fn start(&mut self, images: &Images, printer: &Printer) {
        let width = self.services.all.iter().map(|it| it.name.len()).max();
        let width = width.unwrap_or_default();
        let stdio = terminal::output_only(printer.shows_colours(), width + 3);
        for (number, service) in self.services.all.iter().enumerate() {
            let (order, orders) = mpsc::unbounded_channel();
            let label = Label {
                name: service.name.clone(),
                width,
                number,
            };
            let supervisor = Supervisor {
                launch: images.launch(service, stdio),
                on_exit: OnExit::Restart,
                session: Arc::clone(&self.session),
                status_table: self.status_table.clone(),
                journal: Some(self.journal.clone()),
                label: Some(label),
                printer: printer.background(),
                orders,
                held: false,
            };
            self.tasks.spawn(supervisor.run());
            if images.is_ready(service) {
                let _ = order.send(Order::Start);
            }
            self.orders.insert(service.name.clone(), order);
        }
    }

    /// Handles events until all services must stop. Returns the cause.
    async fn supervise(&mut self) -> Result<Cause, Failure> {
        let mut look = self.status_table.look();
        loop {
            let over = |states: &[ServiceState]| states.iter().all(|state| state.is_over());
            let states: Vec<ServiceState> = look
                .borrow_and_update()
                .values()
                .map(|it| it.state)
                .collect();
            let by_hand = states.iter().all(|state| *state == ServiceState::Stopped);
            if by_hand || (!self.watches && over(&states)) {
                return Ok(Cause::Over);
            }
            tokio::select! {
                _ = look.changed() => {}
                code = signals::end(&mut self.signals) => return Ok(Cause::Signal(code)),
                call = self.control.next() => {
                    if let Some(reply) = self.answer(call) {
                        return Ok(Cause::Asked(reply));
                    }
                }
                Some(ended) = self.tasks.join_next() => {
                    let failed = |error| Failure::from_error(FailureKind::Internal, &error);
                    ended.map_err(failed)??;
                }
            }
        }
    }

    /// Handles a control request. If it stops all services, returns the sender
    /// for its reply.
    fn answer(&self, call: ControlCall) -> Option<oneshot::Sender<ControlReply>> {
        let names = match &call.request {
            ControlRequest::Stop(names) if names.is_empty() => return Some(call.reply),
            ControlRequest::Restart(names) if names.is_empty() => {
                self.orders.keys().cloned().collect()
            }
            ControlRequest::Stop(names) | ControlRequest::Restart(names) => names.clone(),
        };
        if let Some(name) = names.iter().find(|name| !self.orders.contains_key(*name)) {
            let known: Vec<_> = self.orders.keys().map(String::as_str).collect();
            let text = format!("no service {name:?} runs here, but {}", known.join(", "));
            let _ = call.reply.send(ControlReply::Refused(text));
            return None;
        }
        let orders = names.iter().filter_map(|name| self.orders.get(name));
        if let ControlRequest::Restart(_) = call.request {
            orders.for_each(|order| drop(order.send(Order::Restart)));
            let _ = call.reply.send(ControlReply::Restarted(names));
            return None;
        }
        let mut stopping = JoinSet::new();
        for order in orders {
            let (done, stopped) = oneshot::channel();
            let _ = order.send(Order::Stop(done));
            // A killed service may drop the sender. That ends this wait, too.
            stopping.spawn(stopped);
        }
        tokio::spawn(async move {
            while stopping.join_next().await.is_some() {}
            let _ = call.reply.send(ControlReply::Stopped(names));
        });
        None
    }

    /// Stops each service before its dependencies. A signal meanwhile kills
    /// all. Returns the names of the stopped services.
    async fn stop_all(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        let mut killed = false;
        for level in self.services.levels.iter().rev() {
            let mut waiting = JoinSet::new();
            for name in level {
                let (done, stopped) = oneshot::channel();
                if let Some(order) = self.orders.get(name) {
                    let _ = order.send(Order::Stop(done));
                    if killed {
                        let _ = order.send(Order::Kill);
                    }
                    waiting.spawn(stopped);
                    names.push(name.clone());
                }
            }
            loop {
                tokio::select! {
                    ended = waiting.join_next() => if ended.is_none() {
                        break;
                    },
                    _ = signals::end(&mut self.signals), if !killed => {
                        killed = true;
                        self.orders.values().for_each(|order| drop(order.send(Order::Kill)));
                    }
                }
            }
        }
        names
    }
}

fn finish(cause: Cause, stopped: Vec<String>, printer: &mut Printer) -> u8 {
    match cause {
        Cause::Signal(code) => code,
        Cause::Asked(reply) => {
            // `locald stop` may have ended already.
            let _ = reply.send(ControlReply::Stopped(stopped));
            exit_code::SUCCESS
        }
        Cause::Over => {
            printer.note("No service runs any more");
            exit_code::SUCCESS
        }
    }
}
