//! A drawing over time with its axes, its key and what it says in words.
//!
//! Drawings are stretched to whatever width there is; labels are text of the page around them, so that they
//! stay legible on a phone and on a wall.

use std::fmt::Write;

use super::axis::{Axis, Rank};
use super::path::{self, HEIGHT};
use super::scale::Scale;
use super::text::{decimals, escape, number};

/// A chart as it is put together.
pub(super) struct Chart<'a> {
    /// How high it is and of what kind: a class of the style sheet.
    pub(super) class: &'static str,
    pub(super) title: &'a str,
    /// Whose it is; empty where it is the same for all.
    pub(super) whose: &'a str,
    /// What the value axis counts.
    pub(super) unit: &'a str,
    /// What is to be seen, with numbers: text of the page and the drawing's alternative.
    pub(super) finding: String,
    pub(super) axis: &'a Axis,
    pub(super) scale: Scale,
    pub(super) layers: Vec<Layer>,
}

/// One series. Later ones lie on top.
pub(super) struct Layer {
    /// Which of the style sheet's strokes or fills.
    class: String,
    /// What it is called in the key; without a name it has no entry there.
    name: Option<String>,
    path: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Line,
    Area,
    /// Lies on the one after it, so that its own share is what rises above that.
    Stacked,
    Band,
}

impl Layer {
    pub(super) fn line(class: &str, name: &str, path: String) -> Self {
        Self { class: class.to_owned(), name: Some(name.to_owned()), path, kind: Kind::Line }
    }

    pub(super) fn area(class: &str, name: &str, path: String) -> Self {
        Self { class: class.to_owned(), name: Some(name.to_owned()), path, kind: Kind::Area }
    }

    pub(super) fn band(class: &str, name: Option<&str>, path: String) -> Self {
        Self { class: class.to_owned(), name: name.map(Into::into), path, kind: Kind::Band }
    }

    /// Shares on top of each other, the first at the bottom; `shares` by flavour, then by point.
    pub(super) fn stack(names: &[String], shares: &[Vec<Option<f64>>], scale: &Scale) -> Vec<Self> {
        let mut below = vec![0.0; shares.first().map_or(0, Vec::len)];
        let mut layers = Vec::new();
        for (index, (name, shares)) in names.iter().zip(shares).enumerate() {
            let tops = below.iter_mut().zip(shares).map(|(below, share)| {
                share.map(|share| {
                    *below += share;
                    *below
                })
            });
            let path = path::steps(tops.collect::<Vec<_>>(), scale, true);
            layers.push(Self {
                class: flavour_class(index, names.len()),
                name: Some(name.clone()),
                path,
                kind: Kind::Stacked,
            });
        }
        layers.reverse();
        layers
    }
}

impl Layer {
    pub(super) fn write(&self, html: &mut String) {
        let kind = match self.kind {
            Kind::Line => "line",
            Kind::Area => "area",
            Kind::Stacked => "stacked",
            Kind::Band => "band",
        };
        let _ = write!(html, "<path class=\"{kind} {}\"", self.class);
        if let Some(name) = self.name.as_deref().filter(|_| self.kind != Kind::Band) {
            let _ = write!(html, " data-name=\"{}\"", escape(name));
        }
        let _ = write!(html, " d=\"{}\"/>", self.path);
    }
}

/// The colour of a flavour: ten from precise to cheap, taken evenly.
fn flavour_class(index: usize, flavours: usize) -> String {
    let last = flavours.saturating_sub(1).max(1);
    format!("f{}", (index * 9 + last / 2) / last)
}

impl Chart<'_> {
    pub(super) fn write(&self, out: &mut String) {
        let mut html = String::new();
        self.caption(&mut html);
        html.push_str("<div class=\"plot\">");
        self.values(&mut html);
        self.drawing(&mut html);
        self.times(&mut html);
        html.push_str("</div>");
        let _ = writeln!(out, "<figure class=\"chart {}\">{html}</figure>", self.class);
    }

    fn caption(&self, html: &mut String) {
        let _ = write!(
            html,
            "<figcaption><h3>{} <small>{}</small>{}</h3><p class=\"finding\">{}</p><ul class=\"key\">",
            escape(self.title),
            escape(self.unit),
            if self.whose.is_empty() { String::new() } else { format!(" <em>{}</em>", escape(self.whose)) },
            escape(&self.finding)
        );
        let mut named: Vec<&Layer> = self.layers.iter().filter(|layer| layer.name.is_some()).collect();
        // Stacks are drawn from the top down and read from the bottom up.
        if named.iter().all(|layer| layer.kind == Kind::Stacked) {
            named.reverse();
        }
        for layer in named {
            let mark = match layer.kind {
                Kind::Line => "stroke",
                Kind::Area => "patch area",
                Kind::Stacked | Kind::Band => "patch",
            };
            let name = escape(layer.name.as_deref().unwrap_or_default());
            let _ = write!(html, "<li><i class=\"{mark} {}\"></i>{name}</li>", layer.class);
        }
        html.push_str("</ul></figcaption>");
    }

    fn values(&self, html: &mut String) {
        let places = decimals(self.scale.step);
        html.push_str("<div class=\"ys\" aria-hidden=\"true\">");
        for tick in self.scale.ticks() {
            let top = 100.0 * (1.0 - self.scale.part(tick));
            let _ = write!(html, "<span style=\"top:{top:.1}%\">{}</span>", number(tick, places));
        }
        html.push_str("</div>");
    }

    fn drawing(&self, html: &mut String) {
        let width = path::width(self.axis);
        let whose = if self.whose.is_empty() { String::new() } else { format!("{}: ", self.whose) };
        let label = escape(&format!("{whose}{}, {}: {}", self.title, self.unit, self.finding));
        let _ = write!(
            html,
            "<svg role=\"img\" aria-label=\"{label}\" viewBox=\"0 0 {width} {HEIGHT}\" \
             preserveAspectRatio=\"none\" data-from=\"{}\" data-step=\"{}\" data-low=\"{}\" data-high=\"{}\" \
             data-decimals=\"{}\">",
            self.axis.start,
            self.axis.step,
            self.scale.low,
            self.scale.high,
            decimals(self.scale.step) + 1,
        );
        let mut grid = String::new();
        for tick in self.scale.ticks() {
            let y = (1.0 - self.scale.part(tick)) * f64::from(HEIGHT);
            let class = if tick == 0.0 && self.scale.low < 0.0 { "zero" } else { "grid" };
            let _ = write!(grid, "<path class=\"{class}\" d=\"M0 {y:.0}h{width}\"/>");
        }
        // What is filled hides the grid, what is not lies on it.
        let stacked = self.layers.iter().any(|layer| layer.kind == Kind::Stacked);
        if !stacked {
            html.push_str(&grid);
        }
        for layer in &self.layers {
            layer.write(html);
        }
        let mut ticks = String::new();
        for tick in self.axis.ticks() {
            let _ = write!(ticks, "M{:.0} 0v{HEIGHT}", tick.at * f64::from(width));
        }
        let _ = write!(html, "<path class=\"times\" d=\"{ticks}\"/></svg>");
    }

    fn times(&self, html: &mut String) {
        html.push_str("<div class=\"xs\" aria-hidden=\"true\">");
        for tick in self.axis.ticks() {
            let class = match tick.rank {
                Rank::Major => "",
                Rank::Minor => " class=\"minor\"",
                Rank::Wide => " class=\"wide\"",
            };
            // A label stands to the right of its tick: at the very end there is no room.
            if tick.at < 0.96 {
                let left = 100.0 * tick.at;
                let _ = write!(html, "<span{class} style=\"left:{left:.2}%\">{}</span>", tick.label);
            }
        }
        html.push_str("</div>");
    }
}
