/** Messages to the kernel that answer no request: what it is to forget. */
import { nameOctets } from "./names.ts";
import { NOTIFY } from "./protocol.ts";
import { FuseReply } from "./reply.ts";

const OVERHEAD_OCTETS = 64;

/** The header's unique is 0, its error the code of the message. */
function message(code: number, bodyOctets: number, fill: (body: FuseReply) => void): Uint8Array {
  const reply = new FuseReply(new Uint8Array(OVERHEAD_OCTETS + bodyOctets));
  reply.empty();
  fill(reply);
  reply.head(0, code);
  return reply.octets.subarray(0, reply.length);
}

/** Attributes and all pages of a node are out of date (struct fuse_notify_inval_inode_out). */
export function invalidateInode(node: number): Uint8Array {
  return message(NOTIFY.invalidateInode, 24, (body) => {
    body.u64(node);
    body.u64(0); // from the first octet
    body.u64(0); // to the end
  });
}

/**
 * A name is out of date (struct fuse_notify_inval_entry_out). Waits for the directory: not to be
 * sent by the thread that serves requests.
 */
export function invalidateEntry(parent: number, name: string): Uint8Array {
  return message(NOTIFY.invalidateEntry, nameOctets(name) + 1, (body) => {
    body.u64(parent);
    body.u32(nameOctets(name));
    body.u32(0);
    body.text(`${name}\0`);
  });
}

/** A name is gone; whoever watches the directory is told (struct fuse_notify_delete_out). */
export function invalidateDeleted(parent: number, child: number, name: string): Uint8Array {
  return message(NOTIFY.delete, nameOctets(name) + 1, (body) => {
    body.u64(parent);
    body.u64(child);
    body.u32(nameOctets(name));
    body.u32(0);
    body.text(`${name}\0`);
  });
}
