#!/usr/bin/env node
// Starts the binary that npm selected for this platform. The binary inherits this process's descriptors
// unchanged. This process forwards signals to it and ends as it does. Installs nothing and uses no network.
"use strict";

const { spawn } = require("node:child_process");
const { readFileSync } = require("node:fs");
const { constants } = require("node:os");
const { name, version, optionalDependencies } = require("../package.json");

function find() {
  const platform = `${process.platform}-${process.arch}`;
  const names = Object.keys(optionalDependencies);
  const wanted = names.find((one) => one.endsWith(`/${platform}`));
  if (!wanted) {
    const known = names.map((one) => one.split("/")[1]).join(", ");
    fail(`there is no build for ${platform}; there are builds for ${known}`);
  }
  try {
    return require.resolve(`${wanted}/bin/airlock`);
  } catch {
    fail(
      `the package ${wanted}, which holds the program, is not installed beside ${name}.\n` +
        `  npm leaves it out when optional packages are switched off (--omit=optional), when the lock file was made on another\n` +
        `  platform, and where the C library is not glibc (Alpine Linux).\n` +
        `  Remove node_modules and package-lock.json and install again, or: npm install ${wanted}@${version}`,
    );
  }
}

function fail(message) {
  console.error(`airlock: ${message}`);
  process.exit(1);
}

// Returns whether this process is in the foreground of a terminal. Ctrl-C then reaches the child directly.
function inForeground() {
  try {
    const stat = readFileSync("/proc/self/stat", "latin1");
    // After the name, which is in brackets and may contain anything: state, parent, group, session,
    // terminal, its foreground group.
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return group === foreground;
  } catch {
    return false;
  }
}

let child;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  // A second SIGINT ends Airlock at once, so do not repeat the one that the terminal has sent to both.
  // SIGTERM also asks Airlock to stop, and may be sent more than once.
  process.on(signal, () => child.kill(signal === "SIGINT" && inForeground() ? "SIGTERM" : signal));
}

child = spawn(find(), process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => fail(`${child.spawnfile} cannot be started: ${error.message}`));
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // Only reached with a signal that Node ignores: exit with the code that a shell would report.
  process.exit(128 + constants.signals[signal]);
});
