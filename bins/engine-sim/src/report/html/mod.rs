//! The report as a page: one file that opens anywhere, without a network, on any screen and on paper.
//!
//! A [`Page`] is understood once ([`story`]), its recordings are taken together into at most some hundred
//! points ([`axis`], [`course`]) and drawn ([`chart`]). Everything is there without a script; the script
//! adds a cursor that reads values off the drawings.

mod axis;
mod chart;
mod compare;
mod course;
mod detail;
mod page;
mod path;
mod scale;
mod story;
mod sums;
mod tables;
mod text;
mod weeks;

#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

pub(crate) use page::Page;

use story::Story;
use text::{Moment, escape, span};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Writes the page to a file.
///
/// # Errors
///
/// The file cannot be written.
pub(crate) fn write(path: &Path, page: &Page) -> anyhow::Result<()> {
    std::fs::write(path, render(page)).with_context(|| format!("{}: cannot be written", path.display()))
}

/// The page as text; the same for the same page.
pub(crate) fn render(page: &Page) -> String {
    let story = Story::of(page);
    let mut html = String::new();
    head(page, story.as_ref(), &mut html);
    match &story {
        Some(story) => {
            policies(story, &mut html);
            over_time(story, &mut html);
        }
        None => html.push_str("<section><p>Nothing was recorded: there is nothing to draw.</p></section>\n"),
    }
    foot(page, &mut html);
    html
}

fn head(page: &Page, story: Option<&Story<'_>>, html: &mut String) {
    let title = escape(&page.title);
    let _ = write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{title}</title>\n\
         <style>\n{STYLE}"
    );
    // Which policy is shown is the choice of a radio button; where a browser cannot see that, all are.
    for index in 0..story.map_or(0, |story| story.courses.len()) {
        let _ = writeln!(html, "main:has(#policy-{index}:checked) #panel-{index} {{ display: block; }}");
    }
    let _ = write!(html, "</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{title}</h1>\n");
    if let Some(story) = story {
        let _ = writeln!(html, "<p class=\"lead\">{}</p>\n<ul class=\"tiles\">", escape(&story.headline()));
        for (figure, words, over) in story.figures() {
            let class = if over { " class=\"over\"" } else { "" };
            let _ = writeln!(html, "<li{class}><b>{figure}</b> {}</li>", escape(&words));
        }
        html.push_str("</ul>\n");
    }
    html.push_str("<dl class=\"world\">\n");
    for (name, value) in &page.world {
        let _ = writeln!(html, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
    }
    html.push_str("</dl>\n</header>\n");
}

fn policies(story: &Story<'_>, html: &mut String) {
    html.push_str("<section><h2>Policies side by side</h2>\n");
    compare::bars(story, html);
    compare::days(story, html);
    html.push_str("</section>\n");
}

fn over_time(story: &Story<'_>, html: &mut String) {
    let chosen = story.best();
    html.push_str(
        "<section class=\"time\"><h2>Over time</h2>\n<fieldset class=\"choice\"><legend>Policy</legend>\n",
    );
    for (index, course) in story.courses.iter().enumerate() {
        let checked = if index == chosen { " checked=\"checked\"" } else { "" };
        let _ = writeln!(
            html,
            "<input type=\"radio\" name=\"policy\" id=\"policy-{index}\"{checked}/><label for=\"policy-{index}\">{}</label>",
            escape(course.name())
        );
    }
    html.push_str("</fieldset>\n");
    let (from, to) = (Moment::of_second(story.axis.start), Moment::of_second(story.axis.end() - 1));
    let taken = if story.axis.full { "" } else { ", of slots taken together" };
    let _ = writeln!(
        html,
        "<p class=\"hint\">{} to {}, UTC. One point is {}{taken}.</p>",
        from.date(),
        to.date(),
        span(story.axis.step)
    );
    if let Some(course) = story.courses.first() {
        detail::grid(&story.axis, course, html);
    }
    for (index, course) in story.courses.iter().enumerate() {
        let _ = writeln!(html, "<div class=\"panel\" id=\"panel-{index}\">");
        detail::panel(story, course, html);
        weeks::write(story, course, html);
        tables::days(story, course, html);
        html.push_str("</div>\n");
    }
    html.push_str("</section>\n");
}

fn foot(page: &Page, html: &mut String) {
    if page.table.len() > 1 {
        html.push_str("<section><h2>Results</h2>\n");
        tables::report(&page.table, html);
        html.push_str("</section>\n");
    }
    if !page.notes.is_empty() {
        html.push_str("<section><h2>Notes</h2>\n<ul class=\"notes\">\n");
        for note in &page.notes {
            let _ = writeln!(html, "<li>{}</li>", escape(note));
        }
        html.push_str("</ul></section>\n");
    }
    let _ = write!(
        html,
        "<section><h2>How to read this</h2>\n{LEGEND}</section>\n\
         <footer><h2>Made by</h2>\n<pre><code>{}</code></pre></footer>\n</main>\n<script>\n{SCRIPT}</script>\n\
         </body>\n</html>\n",
        escape(&page.command)
    );
}

/// The words of the page.
const LEGEND: &str = "<dl class=\"words\">
<div><dt>p100</dt><dd>everything served by the most precise flavour: what happens without an engine</dd></div>
<div><dt>constant-mix</dt><dd>the cheapest mix that spends the target error, whatever the grid does: the honest baseline</dd></div>
<div><dt>hindsight</dt><dd>the least that could have been emitted within the same error budget, had everything been known in advance; in the table, hindsight (average) may spend it at any time, whatever the budget banks</dd></div>
<div><dt>of possible</dt><dd>the part of hindsight\u{2019}s saving over the constant mix that a policy saved too</dd></div>
<div><dt>mean error</dt><dd>1 \u{2212} precision, per request; what is saved by a policy that spends more than the target was never allowed</dd></div>
<div><dt>error budget</dt><dd>allowed error that was not used yet, in requests \u{00d7} error; it may be spent when the grid is dirty; drawn as the engine publishes it, with the capacity of the demand it expects; where there is no engine, with that of mean demand</dd></div>
</dl>
";
