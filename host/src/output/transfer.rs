//! Shows the transfers of images, one line each.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use protocol::event::{PullEvent, PushEvent};

use super::measure::{bytes, counted, duration, short_digest, short_name, whole_seconds};
use super::sanitise::clean;

/// The width of a progress bar.
const BAR: u64 = 20;
/// After this time without a byte, the line reports that nothing arrives.
const SILENCE: Duration = Duration::from_secs(5);
/// Before this time, the line shows no speed: it is not reliable yet.
const SETTLED: Duration = Duration::from_secs(1);
/// The maximum number of layers to count. A hostile image may claim more.
const LAYERS: usize = 10_000;

/// A running pull or push.
#[derive(Debug)]
pub(super) struct Transfer {
    verb: Verb,
    image: String,
    since: Duration,
    /// The time of the last progress.
    moved: Duration,
    /// The number of layers or blobs to transfer.
    missing: u32,
    total: u64,
    done: HashMap<String, u64>,
    arrived: HashSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Pull,
    Push,
}

impl Verb {
    fn doing(self) -> &'static str {
        match self {
            Self::Pull => "Pulling",
            Self::Push => "Pushing",
        }
    }
}

/// All running transfers.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    open: Vec<Transfer>,
}

impl Transfers {
    /// Handles an event of a pull. Returns a message to print, if there is one.
    pub(super) fn pull(&mut self, event: &PullEvent, now: Duration) -> Option<TransferMessage> {
        match event {
            PullEvent::Resolved {
                image,
                missing,
                bytes,
                ..
            } => self.begin(Verb::Pull, image, (*missing, *bytes), now),
            PullEvent::Progress {
                image, layer, done, ..
            } => self.advance(Verb::Pull, image, (layer, *done), now),
            PullEvent::LayerDone { image, layer } => self.arrive(image, layer),
            PullEvent::Retry {
                image,
                reason,
                millis,
            } => return Some(retry(image, reason, Duration::from_millis(*millis))),
            PullEvent::Done { image, digest } => return self.end(Verb::Pull, image, digest, now),
        }
        self.announce(image_of(event), matches!(event, PullEvent::Resolved { .. }))
    }

    /// Handles an event of a push. Returns a message to print, if there is one.
    pub(super) fn push(&mut self, event: &PushEvent, now: Duration) -> Option<TransferMessage> {
        match event {
            PushEvent::Planned {
                image,
                missing,
                bytes,
                ..
            } => {
                self.begin(Verb::Push, image, (*missing, *bytes), now);
                self.announce(image, true)
            }
            PushEvent::Progress { image, done, .. } => {
                self.advance(Verb::Push, image, ("", *done), now);
                None
            }
            PushEvent::Done { image, digest } => self.end(Verb::Push, image, digest, now),
        }
    }

    /// Returns a live line for each image.
    pub(super) fn live(&self, now: Duration, columns: usize) -> Vec<String> {
        let moving = self.open.iter().filter(|it| it.missing > 0);
        moving.map(|it| it.line(now, columns)).collect()
    }

    fn begin(&mut self, verb: Verb, image: &str, missing: (u32, u64), now: Duration) {
        self.open.retain(|it| !it.is(verb, image));
        self.open.push(Transfer {
            verb,
            image: image.to_owned(),
            since: now,
            moved: now,
            missing: missing.0,
            total: missing.1,
            done: HashMap::new(),
            arrived: HashSet::new(),
        });
    }

    fn advance(&mut self, verb: Verb, image: &str, (part, done): (&str, u64), now: Duration) {
        if let Some(transfer) = self.open.iter_mut().find(|it| it.is(verb, image))
            && (transfer.done.len() < LAYERS || transfer.done.contains_key(part))
        {
            transfer.moved = now;
            transfer.done.insert(part.to_owned(), done);
        }
    }

    fn arrive(&mut self, image: &str, layer: &str) {
        if let Some(transfer) = self.open.iter_mut().find(|it| it.is(Verb::Pull, image))
            && transfer.arrived.len() < LAYERS
        {
            transfer.arrived.insert(layer.to_owned());
        }
    }

    /// Returns the first message of a transfer, for a screen without live
    /// lines.
    fn announce(&self, image: &str, begins: bool) -> Option<TransferMessage> {
        let transfer = self.open.iter().rfind(|it| it.image == image)?;
        (begins && transfer.missing > 0 && !transfer.is_here()).then(|| {
            let verb = transfer.verb.doing();
            let thing = match transfer.verb {
                Verb::Pull => "layer",
                Verb::Push => "blob",
            };
            let (image, total) = (short_name(image), bytes(transfer.total));
            let count = counted(transfer.missing.into(), thing);
            let told = format!("{verb} {image}: {count}, {total}");
            TransferMessage::Passing(clean(&told))
        })
    }

    fn end(
        &mut self,
        verb: Verb,
        image: &str,
        digest: &str,
        now: Duration,
    ) -> Option<TransferMessage> {
        let index = self.open.iter().position(|it| it.is(verb, image))?;
        let transfer = self.open.remove(index);
        if verb == Verb::Pull && transfer.missing == 0 || transfer.is_here() {
            return None;
        }
        let word = match verb {
            Verb::Pull => "Pulled",
            Verb::Push => "Pushed",
        };
        let (image, total) = (short_name(image), bytes(transfer.total));
        let time = duration(now.saturating_sub(transfer.since));
        // A name with a digest needs no second digest. The transferred manifest
        // may also be a part of an index with that digest.
        let digest = if image.contains('@') {
            String::new()
        } else {
            format!(" ({})", short_digest(digest))
        };
        let told = format!("{word} {image}{digest}, {total} in {time}");
        Some(TransferMessage::Lasting(clean(&told)))
    }
}

/// A message about a transfer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TransferMessage {
    /// The screen always shows it.
    Lasting(String),
    /// A screen without live lines shows it.
    Passing(String),
}

impl Transfer {
    fn is(&self, verb: Verb, image: &str) -> bool {
        self.verb == verb && self.image == image
    }

    /// Whether the store has all blobs already, and only extracts them. Such a
    /// pull has a live line, and no line afterwards.
    fn is_here(&self) -> bool {
        self.verb == Verb::Pull && self.total == 0
    }

    /// Returns the longest variant of the line that fits into the columns.
    fn line(&self, now: Duration, columns: usize) -> String {
        let layers = counted(self.missing.into(), "layer");
        let layers = format!("{} of {layers}", self.arrived.len());
        let image = short_name(&self.image);
        if self.is_here() {
            return clean(&format!("Unpacking {image}, {layers}"));
        }
        let verb = self.verb.doing();
        let done = self.done();
        let bar = bar(done, self.total);
        let amount = format!("{} of {}", bytes(done), bytes(self.total));
        let pace = self.pace(done, now);
        let layers = match self.verb {
            Verb::Pull => format!(", {layers}"),
            Verb::Push => String::new(),
        };
        let base = image.rsplit('/').next().unwrap_or(&image);
        let variants = [
            format!("{verb} {image} {bar} {amount}{pace}{layers}"),
            format!("{verb} {image} {bar} {amount}{pace}"),
            format!("{verb} {image}: {amount}{pace}"),
            format!("{verb} {base}: {amount}{pace}"),
            format!("{verb} {amount}{pace}"),
            format!("{amount}{pace}"),
        ];
        let fits = |line: &String| line.chars().count() <= columns;
        let mut variants = variants.iter().map(|line| clean(line));
        variants.find(fits).unwrap_or(amount)
    }

    fn done(&self) -> u64 {
        let sum = |sum: u64, done: &u64| sum.saturating_add(*done);
        self.done.values().fold(0, sum).min(self.total)
    }

    /// Returns the speed and the remaining time, or how long no byte has
    /// arrived.
    fn pace(&self, done: u64, now: Duration) -> String {
        let silence = now.saturating_sub(self.moved);
        if silence >= SILENCE {
            return format!(", nothing for {} s", silence.as_secs());
        }
        let millis = now.saturating_sub(self.since).as_millis();
        let rate = u128::from(done) * 1000 / millis.max(1);
        if now.saturating_sub(self.since) < SETTLED || rate == 0 {
            return String::new();
        }
        let left = u64::try_from(u128::from(self.total - done) / rate).unwrap_or(u64::MAX);
        let rate = bytes(u64::try_from(rate).unwrap_or(u64::MAX));
        format!(", {rate}/s, {} left", whole_seconds(left))
    }
}

fn bar(done: u64, total: u64) -> String {
    let filled = done.saturating_mul(BAR).checked_div(total).unwrap_or(BAR);
    let cells = |cell: char, count: u64| -> String { (0..count).map(|_| cell).collect() };
    format!("[{}{}]", cells('#', filled), cells('-', BAR - filled))
}

/// Returns the message about a new attempt. Every screen shows it, because it
/// explains the delay.
fn retry(image: &str, reason: &str, pause: Duration) -> TransferMessage {
    let (image, pause) = (short_name(image), duration(pause));
    TransferMessage::Lasting(clean(&format!(
        "{image}: {reason}; trying again in {pause}"
    )))
}

fn image_of(event: &PullEvent) -> &str {
    match event {
        PullEvent::Resolved { image, .. }
        | PullEvent::Progress { image, .. }
        | PullEvent::LayerDone { image, .. }
        | PullEvent::Retry { image, .. }
        | PullEvent::Done { image, .. } => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_here_is_not_said_to_be_pulled() {
        let image = || "localhost:5000/run".to_owned();
        let mut transfers = Transfers::default();
        let resolved = PullEvent::Resolved {
            image: image(),
            digest: String::new(),
            layers: 7,
            missing: 5,
            bytes: 0,
        };
        assert_eq!(transfers.pull(&resolved, Duration::ZERO), None);
        let live = ["Unpacking localhost:5000/run, 0 of 5 layers"];
        assert_eq!(transfers.live(Duration::ZERO, 80), live);
        let digest = format!("sha256:{}", "ab".repeat(32));
        let image = image();
        let done = PullEvent::Done { image, digest };
        assert_eq!(transfers.pull(&done, Duration::from_secs(1)), None);
    }

    #[test]
    fn as_much_is_told_as_fits() {
        let image = "docker.io/paketobuildpacks/builder-jammy-base".to_owned();
        let mut transfers = Transfers::default();
        transfers.pull(
            &PullEvent::Resolved {
                image: image.clone(),
                digest: String::new(),
                layers: 30,
                missing: 27,
                bytes: 380_000_000,
            },
            Duration::ZERO,
        );
        let progress = PullEvent::Progress {
            image,
            layer: "a".to_owned(),
            done: 95_000_000,
            total: 100_000_000,
        };
        let told = transfers.pull(&progress, Duration::from_secs(10));
        assert_eq!(told, None);
        let line = |seconds, columns| {
            transfers
                .live(Duration::from_secs(seconds), columns)
                .join("")
        };
        let columns = [200, 120, 90, 79, 40, 20, 15];
        let lines = columns.map(|columns| line(10, columns));
        insta::assert_snapshot!(lines.join("\n"));
        assert_eq!(line(22, 60), "Pulling 95 MB of 380 MB, nothing for 12 s");
    }
}
