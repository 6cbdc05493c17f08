/**
 * Traffic of ports out of the counters of their cables: a port keeps what its gone cables carried.
 * All cables of a port get every frame sent to it, so its output is that of one of them, the
 * leader; its input is the sum.
 */
import type { PortTraffic } from "./management.ts";

/** What one cable carried since it was plugged in. */
export interface CableTraffic extends PortTraffic {
  readonly id: number;
  readonly port: number;
}

interface Account {
  /** Of cables that are gone. */
  framesIn: number;
  octetsIn: number;
  framesOut: number;
  octetsOut: number;
  leader: number | undefined;
  /** What the leader had sent when it became leader. */
  leaderFrames: number;
  leaderOctets: number;
  /** Taken off, since the last reset. */
  zero: PortTraffic;
}

const NOTHING: PortTraffic = { framesIn: 0, octetsIn: 0, framesOut: 0, octetsOut: 0 };

/** The traffic of each port since it was made or reset. */
export class PortTrafficBook {
  readonly #accounts = new Map<number, Account>();

  /** Traffic of a port. @param cables counters of every cable of the switch, now. */
  read(port: number, cables: readonly CableTraffic[]): PortTraffic {
    const total = this.#total(port, cables);
    const { zero } = this.#account(port);
    return {
      framesIn: total.framesIn - zero.framesIn,
      octetsIn: total.octetsIn - zero.octetsIn,
      framesOut: total.framesOut - zero.framesOut,
      octetsOut: total.octetsOut - zero.octetsOut,
    };
  }

  /** Counts from now on. */
  reset(port: number, cables: readonly CableTraffic[]): void {
    this.#account(port).zero = this.#total(port, cables);
  }

  /** A cable is gone. @param cables counters just before, its own included. */
  closed(id: number, cables: readonly CableTraffic[]): void {
    const gone = cables.find((cable) => cable.id === id);
    if (gone === undefined) return;
    const account = this.#account(gone.port);
    const leader = this.#leader(account, gone.port, cables);
    account.framesIn += gone.framesIn;
    account.octetsIn += gone.octetsIn;
    if (leader?.id !== id) return;
    account.framesOut += gone.framesOut - account.leaderFrames;
    account.octetsOut += gone.octetsOut - account.leaderOctets;
    const heir = oldest(cables.filter((cable) => cable.id !== id && cable.port === gone.port));
    account.leader = heir?.id;
    account.leaderFrames = heir?.framesOut ?? 0;
    account.leaderOctets = heir?.octetsOut ?? 0;
  }

  /** The port is no more. */
  removed(port: number): void {
    this.#accounts.delete(port);
  }

  #total(port: number, cables: readonly CableTraffic[]): PortTraffic {
    const account = this.#account(port);
    const leader = this.#leader(account, port, cables);
    let { framesIn, octetsIn } = account;
    for (const cable of cables) {
      if (cable.port !== port) continue;
      framesIn += cable.framesIn;
      octetsIn += cable.octetsIn;
    }
    const framesOut = (leader?.framesOut ?? 0) - account.leaderFrames;
    const octetsOut = (leader?.octetsOut ?? 0) - account.leaderOctets;
    return {
      framesIn,
      octetsIn,
      framesOut: account.framesOut + framesOut,
      octetsOut: account.octetsOut + octetsOut,
    };
  }

  /** The cable whose output stands for the port's; if there was none, the oldest from its start. */
  #leader(
    account: Account,
    port: number,
    cables: readonly CableTraffic[],
  ): CableTraffic | undefined {
    const own = cables.filter((cable) => cable.port === port);
    const known = own.find(({ id }) => id === account.leader);
    if (known !== undefined) return known;
    const first = oldest(own);
    account.leader = first?.id;
    account.leaderFrames = 0;
    account.leaderOctets = 0;
    return first;
  }

  #account(port: number): Account {
    let account = this.#accounts.get(port);
    if (account === undefined) {
      account = {
        framesIn: 0,
        octetsIn: 0,
        framesOut: 0,
        octetsOut: 0,
        leader: undefined,
        leaderFrames: 0,
        leaderOctets: 0,
        zero: NOTHING,
      };
      this.#accounts.set(port, account);
    }
    return account;
  }
}

function oldest(cables: readonly CableTraffic[]): CableTraffic | undefined {
  return cables.reduce<CableTraffic | undefined>(
    (best, cable) => (best === undefined || cable.id < best.id ? cable : best),
    undefined,
  );
}
