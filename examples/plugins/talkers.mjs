/**
 * A plugin of `v2 switch`: who talks how much. On the console: `plugin/add ./talkers.mjs`, then
 * `talkers/print`; `debug/add talkers` tells of each new station.
 *
 * @type {import("virtualsquare/vde").PluginMaker}
 */
export default (host) => {
  const octetsOf = new Map();
  return {
    name: "talkers",
    help: "octets sent by each station",
    commands: [
      {
        path: "talkers/print",
        help: "list the stations",
        hasData: true,
        run: (argument, print) => octetsOf.forEach((octets, mac) => print(`${mac} ${octets}`)),
      },
    ],
    categories: [{ path: "talkers/new", tag: 0o701, help: "a station talks for the first time" }],
    frame({ direction, port, octets }) {
      if (direction === "out") return;
      const mac = Array.from(octets.slice(6, 12), (x) => x.toString(16).padStart(2, "0")).join(":");
      if (!octetsOf.has(mac)) host.tell("talkers/new", `${mac} at port ${port}`);
      if (octetsOf.has(mac) || octetsOf.size < 4096) {
        octetsOf.set(mac, (octetsOf.get(mac) ?? 0) + octets.length);
      }
    },
  };
};
