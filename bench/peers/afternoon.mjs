// What an afternoon builds instead of Tally, for the bench to compare with: mqtt.js and ioredis, a HINCRBY a reaction, no reader counted
// once. `--honest on`: honest.lua by EVALSHA instead. Prints `ready` once it is subscribed, and at its end one line of JSON.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import mqtt from "mqtt";

const PREFIX = "reactions/";
const KINDS = new Set(["like", "dislike", "love", "funny", "angry", "sad", "wow", "none"]);
const whole = (least, most) => ({
  accepts: `${least} to ${most}`,
  read: (text) => (/^\d{1,10}$/.test(text) && text >= least && text <= most ? Number(text) : undefined),
});
const OPTIONS = {
  host: { value: "127.0.0.1", accepts: "a name or address", read: (text) => text || undefined },
  port: { value: 1883, ...whole(1, 65535) },
  "redis-host": { value: "127.0.0.1", accepts: "a name or address", read: (text) => text || undefined },
  "redis-port": { value: 6390, ...whole(1, 65535) },
  script: { value: fileURLToPath(new URL("honest.lua", import.meta.url)), accepts: "a file", read: (text) => text || undefined },
  honest: { value: false, accepts: "on or off", read: (text) => ({ on: true, off: false })[text] },
  qos: { value: 0, ...whole(0, 1) },
  messages: { value: 100000, ...whole(1, 1000000000) },
  seconds: { value: 60, ...whole(1, 3600) },
};

function die(error) {
  process.stderr.write(`afternoon: ${error.message}\n`);
  process.exit(1);
}

// --name=value and --name value.
function parse(words) {
  const settings = Object.fromEntries(Object.entries(OPTIONS).map(([name, option]) => [name, option.value]));
  while (words.length > 0) {
    const word = words.shift();
    const [, name, , given] = /^--([^=]*)(=(.*))?$/s.exec(word) ?? [];
    if (!Object.hasOwn(OPTIONS, name ?? "")) throw new Error(`unknown option ${word}; known: ${Object.keys(OPTIONS).join(", ")}`);
    const text = given ?? words.shift() ?? "";
    settings[name] = OPTIONS[name].read(text);
    if (settings[name] === undefined) throw new Error(`option ${name}: ${text} is not ${OPTIONS[name].accepts}`);
  }
  return settings;
}

// The script, or undefined, is what tells the honest mode from the quick one.
async function connectRedis(settings) {
  const redis = new Redis({
    host: settings["redis-host"],
    port: settings["redis-port"],
    enableAutoPipelining: true,
    lazyConnect: true,
    retryStrategy: null,
  });
  redis.on("error", (error) => die(new Error(`Redis: ${error.message}`)));
  await redis.connect();
  if (settings.honest) {
    const lua = await readFile(settings.script, "utf8").catch((error) => die(new Error(`option script: ${error.message}`)));
    await redis.script("LOAD", lua);
    redis.defineCommand("react", { numberOfKeys: 2, lua });
  }
  return redis;
}

function quick(redis, article, { reaction }) {
  return typeof reaction === "string" && redis.hincrby(`tally:${article}`, reaction, 1);
}

function honest(redis, article, { reaction, reader }) {
  if (!KINDS.has(reaction) || typeof reader !== "string" || reader === "") return false;
  return redis.react(`tally:${article}`, `readers:${article}`, reader, reaction);
}

// Calls `done` at the end: after so many messages, or once what it has is answered.
class Peer {
  constructor(settings, redis, done) {
    Object.assign(this, { settings, redis, done, react: settings.honest ? honest : quick });
    Object.assign(this, { received: 0, counted: 0, bad: 0, first: 0n, last: 0n, ending: false });
  }

  take(topic, payload) {
    if (this.ending) return;
    if (this.received++ === 0) this.first = process.hrtime.bigint();
    let answer = false;
    try {
      answer = topic.length > PREFIX.length && this.react(this.redis, topic.slice(PREFIX.length), JSON.parse(payload.toString()));
    } catch {
      // no JSON, or null
    }
    if (answer) {
      answer.then(() => this.answered(), die);
    } else {
      this.bad++;
      this.look();
    }
  }

  answered() {
    this.counted++;
    this.last = process.hrtime.bigint();
    this.look();
  }

  look() {
    if (this.counted + this.bad >= (this.ending ? this.received : this.settings.messages)) this.done();
  }

  end() {
    this.ending = true;
    this.look();
  }

  report() {
    const { user, system } = process.cpuUsage();
    const { received, counted, bad, first, last } = this;
    const program = this.settings.honest ? "afternoon-honest" : "afternoon";
    const members = { program, received, counted, bad, first_ns: Number(first), last_ns: Number(last), cpu_seconds: (user + system) / 1e6 };
    return JSON.stringify(members);
  }
}

// MQTT 5 alone can say how many messages at QoS 1 may be on their way: 3.1.1 gets the broker's twenty.
function connectBroker(settings) {
  return mqtt.connectAsync({
    host: settings.host,
    port: settings.port,
    protocol: "mqtt",
    protocolVersion: 5,
    properties: { receiveMaximum: 65535 },
    reconnectPeriod: 0,
  }, false);
}

async function main() {
  const settings = parse(process.argv.slice(2));
  const redis = await connectRedis(settings);
  const client = await connectBroker(settings).catch((error) => {
    throw new Error(`the broker at ${settings.host} port ${settings.port}: ${error.message || error.code}`);
  });
  let finish;
  const finished = new Promise((resolve) => (finish = resolve));
  const peer = new Peer(settings, redis, finish);
  client.on("error", die);
  client.on("close", () => die(new Error("the broker ended the connection")));
  client.on("message", (topic, payload) => peer.take(topic, payload));
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => peer.end());
  setTimeout(() => peer.end(), settings.seconds * 1000);
  await client.subscribeAsync(`${PREFIX}#`, { qos: settings.qos });
  process.stdout.write("ready\n");
  await finished;
  process.stdout.write(`${peer.report()}\n`, () => process.exit(0));
}

main().catch(die);
