const { bold } = require("kleur");

console.log(`hello ${bold(process.argv.slice(2).join(" "))}`);
