//! ARG in a stage.

use super::{Lowering, stage::StageState};
use crate::dockerfile::{expansion::Variables as _, instruction::Argument};

impl Lowering<'_, '_> {
    /// The value of an ARG is the build argument, else the default, else the global ARG of that name;
    /// each sees the ones before it, also those of the same instruction.
    pub(super) fn arg(&mut self, state: &mut StageState, arguments: &[Argument]) {
        let mut shown = Vec::new();
        for argument in arguments {
            let name = &argument.name;
            let given = self.plan.options.build_arg(name).map(str::to_owned);
            let value = if let Some(given) = given {
                self.used_args.insert(name.clone(), given.clone());
                Some(given)
            } else if let Some(default) = &argument.default {
                self.expand_text(state, default, argument.span)
            } else {
                self.plan.global.value(name).map(str::to_owned)
            };
            match &value {
                Some(value) => {
                    state.env.set_last(name, value);
                    shown.push(format!("{name}={value}"));
                }
                None => shown.push(name.clone()),
            }
            state.args.push((name.clone(), value));
        }
        state.commit(format!("ARG {}", shown.join(" ")), None);
    }
}
