// runs as: user
// time limit: 300 s
import { LEVELS, PYTHON, type Program, testTransparency } from "./transparency.ts";

const GCC = [
  ["gcc", "gcc"],
  ["make", "make"],
] as const;

const PROGRAMS: readonly Program[] = [
  { name: "bash", script: "bash.sh", needs: [["bash", "bash"]] },
  { name: "python", script: "python.py", needs: [[PYTHON, "python3"]] },
  { name: "node", script: "node.mjs", needs: [] },
  { name: "perl", script: "perl.sh", needs: [["perl", "perl-base"]] },
  { name: "git", script: "git.sh", needs: [["git", "git"]] },
  { name: "a build by make and gcc", script: "make.sh", needs: GCC },
  { name: "tar, rsync and the tools for files", script: "files.sh", needs: [["rsync", "rsync"]] },
  { name: "vi", script: "vi.sh", needs: [["vi", "vim-tiny"]] },
  { name: "a session of tmux", script: "tmux.sh", needs: [["tmux", "tmux"]] },
  { name: "sshd on loopback", script: "sshd.sh", needs: [["sshd", "openssh-server"]] },
  { name: "gdb", script: "gdb.sh", needs: [["gdb", "gdb"], ...GCC] },
  { name: "strace", script: "strace.sh", needs: [["strace", "strace"]] },
  {
    name: "job control on a terminal",
    script: "terminal.py",
    needs: [[PYTHON, "python3"]],
    outside: true,
  },
  { name: "a static program", script: "static.sh", needs: GCC },
  { name: "a 32-bit program", script: "i386.sh", needs: GCC },
  { name: "busybox", script: "busybox.sh", needs: [["busybox", "busybox-static"]] },
  {
    name: "a sandbox",
    script: "sandbox.sh",
    needs: [["bwrap", "bubblewrap"]],
    // It writes the map of a user namespace of its own, which the supervisor has opened: see below.
    except: ["with paths answered"],
  },
  {
    name: "a user namespace of a program's own",
    script: "unshare.sh",
    needs: [],
    // To map user 0, the one who opens uid_map must hold CAP_SETFCAP (user_namespaces(7)); with
    // paths answered that is the supervisor, which opens files without any capability.
    except: process.getuid!() === 0 ? ["with paths answered"] : [],
  },
];

testTransparency(PROGRAMS, LEVELS);
