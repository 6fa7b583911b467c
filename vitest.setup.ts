/**
 * Property tests draw the same examples in every run, so that a run says something about the sources and nothing about luck.
 * TEST_SEED=12345 draws others: for looking for counterexamples.
 */
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env['TEST_SEED'] ?? 1) });
