// Attacks from inside Deno with every permission and the C library in hand. Prints, as JSON, what was tried and what was reached.
// Arguments: the port of a listener, the pid of a process that holds a secret, a file that exists, a folder that can be written to.
const [port, victim, file, folder] = Deno.args;
const tried = [], reached = [];

async function attack(name, attempt) {
  tried.push(name);
  try {
    // Outside of the jail some wait for a peer that never answers.
    const got = await Promise.race([attempt(), new Promise((_, late) => setTimeout(late, 2000))]);
    if (got !== false) reached.push(`${name}: ${String(got).slice(0, 80)}`);
  } catch {
    // Refused.
  }
}

// Files.
for (const path of [file, "/etc/passwd", "/etc/hostname", "/proc/self/environ", "/proc/self/maps", "/proc/self/status", `/proc/${victim}/environ`, `/proc/${victim}/cmdline`, `/proc/${victim}/mem`, "/proc/1/cmdline", "/proc/meminfo", "/sys/kernel/mm/transparent_hugepage/enabled"]) {
  await attack(`read ${path}`, () => Deno.readTextFileSync(path));
}
for (const path of ["/", "/tmp", "/proc", "/dev", "/root", folder]) await attack(`list ${path}`, () => [...Deno.readDirSync(path)].length);
await attack("write a file", () => Deno.writeTextFileSync(`${folder}/written`, "x") ?? true);
await attack("make a folder", () => Deno.mkdirSync(`${folder}/made`) ?? true);
await attack("remove a file", () => Deno.removeSync(file) ?? true);
await attack("rename a file", () => Deno.renameSync(file, `${folder}/renamed`) ?? true);
await attack("link a file", () => Deno.symlinkSync(file, `${folder}/link`) ?? true);
await attack("a module from a file", () => import(`file://${file}`));

// Network.
await attack("connect over TCP", () => Deno.connect({ hostname: "127.0.0.1", port: Number(port) }));
await attack("listen over TCP", () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).addr.port);
await attack("UDP", () => Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" }).addr.port);
await attack("a unix socket", () => Deno.listen({ path: `${folder}/socket`, transport: "unix" }) && true);
await attack("fetch", async () => (await fetch(`http://127.0.0.1:${port}/`)).status);
await attack("a WebSocket", () =>
  new Promise((done, refused) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    socket.onopen = () => done(true);
    socket.onerror = refused;
  }));

// Processes.
for (const program of ["/bin/true", "/usr/bin/env", Deno.execPath()]) await attack(`run ${program}`, () => new Deno.Command(program, { args: ["--version"] }).outputSync().success);
await attack("signal a process", () => Deno.kill(Number(victim), "SIGUSR1") ?? true);

// The C library, called directly. An answer below zero, or none, is a refusal.
const c = {
  fork: [[], "i32"], vfork: [[], "i32"], system: [["buffer"], "i32"], socket: [["i32", "i32", "i32"], "i32"],
  kill: [["i32", "i32"], "i32"], ptrace: [["i64", "i32", "i64", "i64"], "i64"], open: [["buffer", "i32"], "i32"], syscall: [["i64", "i64", "i64", "i64", "i64", "i64", "i64"], "i64"],
  prctl: [["i32", "u64", "u64", "u64", "u64"], "i32"], unshare: [["i32"], "i32"], mount: [["buffer", "buffer", "buffer", "u64", "i64"], "i32"], chroot: [["buffer"], "i32"],
  setuid: [["u32"], "i32"], execv: [["buffer", "buffer"], "i32"], prlimit: [["i32", "i32", "buffer", "i64"], "i32"], sched_setaffinity: [["i32", "u64", "buffer"], "i32"],
  setpriority: [["i32", "i32", "i32"], "i32"], fcntl: [["i32", "i32", "i64"], "i32"], ioctl: [["i32", "u64", "buffer"], "i32"],
};
const libc = ["libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6"].reduce((open, name) => {
  try {
    return open ?? Deno.dlopen(name, Object.fromEntries(Object.entries(c).map(([symbol, [parameters, result]]) => [symbol, { parameters, result }]))).symbols;
  } catch {
    return open;
  }
}, undefined);
const text = (value) => new TextEncoder().encode(`${value}\0`);
const pid = Number(victim), isX86 = Deno.build.arch === "x86_64";
// The same numbers on both machines, but for those in pairs.
const number = (x86, arm) => BigInt(isX86 ? x86 : arm);
const call = (name, ...given) => libc.syscall(name, ...given.map(BigInt), ...Array(6 - given.length).fill(0n));
const direct = {
  "fork": () => libc.fork(),
  "vfork": () => libc.vfork(),
  "system": () => libc.system(text("true")) === 0 ? 1 : -1,
  "socket AF_INET": () => libc.socket(2, 1, 0),
  "socket AF_UNIX": () => libc.socket(1, 1, 0),
  "socket AF_NETLINK": () => libc.socket(16, 3, 0),
  "kill the process": () => libc.kill(pid, 0),
  "kill the parent": () => libc.kill(0, 0),
  "ptrace": () => libc.ptrace(16n, pid, 0n, 0n),
  "open /etc/passwd": () => libc.open(text("/etc/passwd"), 0),
  "open memory": () => libc.open(text(`/proc/${pid}/mem`), 2),
  "death signal off": () => libc.prctl(1, 0n, 0n, 0n, 0n),
  "dumpable": () => libc.prctl(4, 1n, 0n, 0n, 0n),
  "unshare": () => libc.unshare(0x10000000),
  "mount": () => libc.mount(text("none"), text("/tmp"), text("tmpfs"), 0n, 0n),
  "chroot": () => libc.chroot(text("/")),
  "setuid": () => libc.setuid(1),
  "execv /bin/sh": () => libc.execv(text("/bin/sh"), new BigUint64Array(1)),
  "limits of the process": () => libc.prlimit(pid, 0, new BigUint64Array([1n, 1n]), 0n),
  "processors of the process": () => libc.sched_setaffinity(pid, 8n, new BigUint64Array([1n])),
  "priority of the process": () => libc.setpriority(0, pid, 19),
  "SIGIO to the process": () => libc.fcntl(0, 8, BigInt(pid)),
  "owner of a descriptor": () => libc.ioctl(0, 0x8901n, new Int32Array([pid])),
  "typing into a terminal": () => libc.ioctl(0, 0x5412n, text("x")),
  "tgkill": () => call(number(234, 131), pid, pid, 0),
  "tkill": () => call(number(200, 130), pid, 0),
  "rt_sigqueueinfo": () => call(number(129, 138), pid, 0, 0),
  "process_vm_readv": () => call(number(310, 270), pid, 0, 0, 0, 0, 0),
  "process_vm_writev": () => call(number(311, 271), pid, 0, 0, 0, 0, 0),
  "pidfd_open": () => call(434n, pid, 0),
  "pidfd_getfd": () => call(438n, 0, 0, 0),
  "io_uring_setup": () => call(425n, 1, 0),
  "bpf": () => call(number(321, 280), 0, 0, 0),
  "perf_event_open": () => call(number(298, 241), 0, 0, -1, -1, 0),
  "userfaultfd": () => call(number(323, 282), 0),
  "memfd_create": () => call(number(319, 279), 0, 0),
  "clone3": () => call(435n, 0, 0),
  "execveat": () => call(number(322, 281), 0, 0, 0, 0, 0x1000),
  "keyctl": () => call(number(250, 219), 0, -3, 0),
  "shmget": () => call(number(29, 194), 0, 4096, 0o1600),
  "mq_open": () => call(number(240, 180), 0, 0),
  "open_by_handle_at": () => call(number(304, 265), 0, 0, 0),
  "landlock_create_ruleset": () => call(444n, 0, 0, 1),
  "setns": () => call(number(308, 268), 0, 0),
  "sendmsg": () => call(number(46, 211), 1, 0, 0),
  "recvmsg": () => call(number(47, 212), 0, 0, 0),
  "a datagram to a name": () => {
    const pair = new Int32Array(2);
    if (Number(call(number(53, 199), 1, 2, 0, Deno.UnsafePointer.value(Deno.UnsafePointer.of(pair)))) < 0) return -1;
    return libc.syscall(number(44, 206), BigInt(pair[0]), 0n, 0n, 0n, Deno.UnsafePointer.value(Deno.UnsafePointer.of(text("\x01\0/dev/log"))), 11n);
  },
  "shared memory": () => Number(call(number(9, 222), 0, 1 << 20, 3, 0x21, -1, 0)) === -1 ? -1 : 1,
  "memory that grows": () => Number(call(number(9, 222), 0, 1 << 20, 3, 0x122, -1, 0)) === -1 ? -1 : 1,
  "poisoning a page": () => call(number(28, 233), 0, 4096, 100),
  "raising a limit": () => libc.prlimit(0, 7, new BigUint64Array([4096n, 4096n]), 0n),
  "execve of Deno again": () => libc.execv(text(Deno.execPath()), new BigUint64Array(1)),
  "kcmp": () => call(number(312, 272), pid, pid, 0, 0, 0),
  "get_robust_list": () => call(number(274, 100), pid, 0, 0),
  "migrate_pages": () => call(number(256, 238), pid, 0, 0, 0),
};
const isJailed = Deno.args[4] === "jailed";
for (const [name, attempt] of Object.entries(direct)) {
  // Outside of the jail these would take this process along, or leave a copy of it.
  if (!isJailed && ["fork", "vfork", "execv /bin/sh", "execve of Deno again", "poisoning a page", "clone3", "kill the parent", "setuid", "execveat", "chroot", "unshare", "mount"].includes(name)) continue;
  await attack(`libc ${name}`, () => {
    const got = Number(attempt());
    return got >= 0 ? got : false;
  });
}
console.log(JSON.stringify({ tried: tried.length, reached, libc: libc !== undefined }));
Deno.exit(0);
