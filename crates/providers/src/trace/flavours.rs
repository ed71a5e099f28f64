//! Files of flavours: the list a PUT carries, or families of published models.

use models::json::excerpt;
use models::{FlavourSet, Problems};
use serde_json::{Map, Value};

/// Flavours from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct FlavourFile {
    /// The family they belong to, where the file has families.
    pub family: Option<String>,
    /// The flavours.
    pub flavours: FlavourSet,
}

/// A file that gives no flavours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlavourFileError {
    /// The content is not JSON of either shape.
    #[error(
        "{file}:{line}: {found}: expected a JSON list of flavours (`[{{\"name\",\"precision\",\"energyWh\"}}]`) or \
         `{{\"families\":[{{\"family\",\"flavours\"}}]}}`"
    )]
    Unrecognised {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What stands there.
        found: String,
    },
    /// The file has no such family, or several and none was named.
    #[error("{file}: {wanted}: expected {known}")]
    Family {
        /// Which file.
        file: String,
        /// What was asked for.
        wanted: String,
        /// What would be right.
        known: String,
    },
    /// A flavour has a bad field.
    #[error("{file}: {problems}")]
    Bad {
        /// Which file.
        file: String,
        /// Every bad field with its JSON pointer.
        problems: Problems,
    },
}

impl FlavourFile {
    /// Reads flavours; `file` is its name for messages. Where the file has families, `family` names one;
    /// it may be left out where there is only one.
    ///
    /// A family's `energy_wh_per_request` and `energy_relative` become `energyWh` and `carbonIntensity`.
    ///
    /// # Errors
    ///
    /// [`FlavourFileError`].
    pub fn read(file: &str, bytes: &[u8], family: Option<&str>) -> Result<Self, FlavourFileError> {
        let unrecognised = |line: u64, found: &str| FlavourFileError::Unrecognised {
            file: file.into(),
            line,
            found: found.into(),
        };
        let root: Value = serde_json::from_slice(super::table::without_mark(bytes))
            .map_err(|error| unrecognised(error.line() as u64, &format!("not JSON ({error})")))?;
        let bad = |problems| FlavourFileError::Bad { file: file.into(), problems };
        let no_family = |wanted: &str, known: &str| FlavourFileError::Family {
            file: file.into(),
            wanted: wanted.into(),
            known: known.into(),
        };
        if let Some(Value::Array(families)) = root.get("families") {
            let names: Vec<&str> = families.iter().filter_map(family_name).collect();
            let wanted = match (family, names.as_slice()) {
                (Some(wanted), _) => wanted,
                (None, [only]) => only,
                (None, _) => return Err(no_family("no family is named", &one_of(&names))),
            };
            let Some(index) = families.iter().position(|family| family_name(family) == Some(wanted)) else {
                let wanted = format!("`{}` is not a family", excerpt(wanted));
                return Err(no_family(&wanted, &one_of(&names)));
            };
            let mut list = families[index].get("flavours").cloned().unwrap_or_default();
            rename_figures(&mut list);
            let at = format!("/families/{index}/flavours");
            let flavours = FlavourSet::from_json(&list, &at, &mut Vec::new()).map_err(bad)?;
            return Ok(Self { family: Some(wanted.to_owned()), flavours });
        }
        let nested = ["flavours", "strategies"].into_iter().find_map(|key| Some((key, root.get(key)?)));
        let (at, list) = match (&root, nested) {
            (Value::Array(_), _) => (String::new(), &root),
            (_, Some((key, list))) => (format!("/{key}"), list),
            _ => {
                return Err(unrecognised(1, "neither a list nor an object with `flavours` or `families`"));
            }
        };
        if let Some(family) = family {
            let wanted = format!("`{}` is asked for, but the file has no families", excerpt(family));
            return Err(no_family(&wanted, "no family to be named"));
        }
        let flavours = FlavourSet::from_json(list, &at, &mut Vec::new()).map_err(bad)?;
        Ok(Self { family: None, flavours })
    }
}

fn one_of(names: &[&str]) -> String {
    format!("one of {}", names.join(", "))
}

fn family_name(family: &Value) -> Option<&str> {
    family.get("family").and_then(Value::as_str)
}

/// The families' names for the contract's figures.
fn rename_figures(list: &mut Value) {
    let rename = |flavour: &mut Map<String, Value>, from: &str, to: &str| {
        if let Some(value) = flavour.remove(from) {
            flavour.entry(to).or_insert(value);
        }
    };
    for flavour in list.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        rename(flavour, "energy_wh_per_request", "energyWh");
        rename(flavour, "energy_relative", "carbonIntensity");
    }
}
