/** What every command is given, and where its text goes. */

/** Where text goes; tests collect it. */
export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Settles when whoever reads has taken what was written; for commands that write much. */
  readonly drained?: () => Promise<void>;
}

/** What a command does with its output and how it reports its exit status. */
export interface Context {
  readonly output: Output;
  /** Arguments of the program, for the manifest. */
  readonly argv: readonly string[];
  exitCode: number;
}
