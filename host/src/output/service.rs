//! Writes the output and the state changes of services.

use protocol::Channel;

use super::json::{Json, stream_name};
use super::sanitise::{Keep, clean, sanitise};
use super::style::Style;
use super::{Audience, Detail, Printer, write_json};

/// The label before each line of a service.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    pub(crate) name: String,
    /// The width of the longest label, in characters.
    pub(crate) width: usize,
    /// The service's number, which selects a colour.
    pub(crate) number: usize,
}

impl Label {
    fn before(&self, text: &str, style: Style) -> String {
        let name = format!("{:width$} |", self.name, width = self.width);
        format!("{} {text}", style.one_of_many(&name, self.number))
    }
}

impl Printer {
    /// Prints a line of a service to standard output. No label means that there
    /// is only one service.
    pub(crate) fn service_line(&mut self, label: Option<&Label>, channel: Channel, line: &str) {
        let out = &self.out;
        match &self.audience {
            Audience::People(people) => {
                let style = people.out_style;
                let keep = if style.is_coloured() {
                    Keep::Colours
                } else {
                    Keep::Text
                };
                let text = sanitise(line, keep);
                let text = label.map_or(text.clone(), |label| label.before(&text, style));
                people.screen.beside(|| out.line(&text));
            }
            Audience::Programs(_) => {
                let json = Json::ServiceOutput {
                    service: label.map(|label| label.name.as_str()),
                    stream: stream_name(channel),
                    line: &clean(line),
                };
                write_json(out, &json);
            }
        }
    }

    /// Prints a state change of a service.
    pub(crate) fn service_state(&mut self, service: &str, state: &str, message: &str) {
        match &mut self.audience {
            Audience::People(people) if people.detail == Detail::Quiet => {}
            Audience::People(people) => people.screen.print(&people.style.strong(&clean(message))),
            Audience::Programs(_) => {
                let json = Json::Service {
                    service,
                    state,
                    message,
                };
                write_json(&self.out, &json);
            }
        }
    }

    /// Whether standard output has colours.
    pub(crate) fn shows_colours(&self) -> bool {
        matches!(&self.audience, Audience::People(people) if people.out_style.is_coloured())
    }
}
