// A job is a JSON object on standard input. Each of its tokens is sent to, one after another; what
// the library reports of each goes to standard output, as a JSON array.
'use strict';

const fs = require('fs');

async function job(start) {
  const wanted = JSON.parse(fs.readFileSync(0, 'utf8'));
  const sender = await start(wanted);
  const reports = [];
  for (const token of wanted.tokens) {
    reports.push(await sender.send(token));
  }
  fs.writeSync(1, JSON.stringify(reports));
  await sender.end?.();
}

module.exports = (start) =>
  job(start).catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
