/* Which files may go: naming, compaction, readers and gc.
 *
 * File 0 is a closed segment. A writer opens segment 1; two compactions replace file 0 by archives 2 and 3 (as if their lock had
 * failed them); a reader takes a snapshot and reads; gc removes what the head of the catalog does not name. Every process may be
 * killed at any step and begin anew, and the power may fail. Sets of files are bits. docs/model.md says which code each step stands
 * for.
 *
 * -DBROKEN_...: one rule is left out, and one of the named assertions must fail. */

#ifndef KILLS
#define KILLS 2
#endif
#ifndef POWER_CUTS
#define POWER_CUTS 1
#endif
#define INPUT 1
#define SEGMENT 2
#define FIRST_ARCHIVE 4
#define ARCHIVES 12

byte named = INPUT;         /* by the head of the catalog */
byte durably_named = INPUT; /* by the head after a power cut */
byte files = INPUT;         /* in the home */
byte written = INPUT;       /* something in them has been acked, or an edit was built on it */
byte readers;               /* that hold the lock "gc" shared */
bit collecting;             /* that hold it alone */
byte kills, power_cuts;

#define DATA (named & (INPUT | ARCHIVES))

inline check_store()
{
	skip;
	acked_is_durable: assert((named & written & ~files) == 0 && (durably_named & written & ~files) == 0);
	exactly_once: assert(DATA == INPUT || DATA == FIRST_ARCHIVE || DATA == FIRST_ARCHIVE << 1)
}

#define SYNC_CATALOG durably_named = named

/* The steps of each process; where it is killed, its locks are free. */
mtype = {off, edited, synced, filed, working, published, listed, judged};
mtype w_phase = off, c_phase[2] = off, r_phase = off, g_phase = off;

proctype writer()
{
end:	do
#ifdef BROKEN_FILE_FIRST
	:: d_step { w_phase == off && !(files & SEGMENT) -> files = files | SEGMENT; w_phase = synced }
	:: d_step { w_phase == synced && !(named & SEGMENT) -> named = named | SEGMENT; SYNC_CATALOG; w_phase = filed }
#else
	:: d_step { w_phase == off && !(named & SEGMENT) -> named = named | SEGMENT; w_phase = edited }
	:: d_step { w_phase == edited -> SYNC_CATALOG; w_phase = synced; check_store() }
	:: d_step { w_phase == synced -> files = files | SEGMENT; w_phase = filed }
#endif
	:: d_step { w_phase == filed -> written = written | SEGMENT; check_store() }
	:: d_step { w_phase != off && kills < KILLS -> kills++; w_phase = off }
	od
}

#define ARCHIVE (FIRST_ARCHIVE << i)

inline let_go(i)
{
	c_phase[i] = off;
	readers = readers - (c_locked[i] -> 1 : 0);
	c_locked[i] = 0
}

bit c_locked[2];

proctype compaction(byte i)
{
end:	do
	/* A snapshot, its lock held until the edit is durable. */
	:: d_step { c_phase[i] == off && !collecting && (named & INPUT) && !(files & ARCHIVE) ->
		readers++; c_locked[i] = 1; c_phase[i] = working }
	/* The archive is durable, and gets its name in the folder. */
	:: d_step { c_phase[i] == working ->
		files = files | ARCHIVE; c_phase[i] = published;
#ifdef BROKEN_COMPACTION_LOCK
		readers--; c_locked[i] = 0
#endif
		}
	/* One edit: the archive is the store, the input is not; if the input is still there. */
	:: d_step { c_phase[i] == published ->
		if
#ifdef BROKEN_INPUTS
		:: true ->
#else
		:: named & INPUT ->
#endif
			named = (named & ~INPUT) | ARCHIVE; written = written | ARCHIVE; c_phase[i] = edited
		:: else -> let_go(i)
		fi;
		check_store() }
	:: d_step { c_phase[i] == edited -> SYNC_CATALOG; let_go(i); check_store() }
	:: d_step { c_phase[i] != off && kills < KILLS -> kills++; let_go(i) }
	od
}

byte r_version;

proctype reader()
{
end:	do
#ifdef BROKEN_READER_LOCK /* taken behind the catalog */
	:: d_step { r_phase == off -> r_version = named & written; r_phase = edited }
	:: d_step { r_phase == edited && !collecting -> readers++; r_phase = working }
#else
	:: d_step { r_phase == off && !collecting -> readers++; r_phase = edited }
	:: d_step { r_phase == edited -> r_version = named & written; r_phase = working }
#endif
	:: d_step { r_phase == working ->
		snapshot_finds_its_files: assert((r_version & ~files) == 0);
		if :: readers > 0 -> readers-- :: else fi;
		r_version = 0; r_phase = off }
	od
}

byte g_files, g_named;

proctype gc()
{
end:	do
	:: d_step { g_phase == off && readers == 0 -> collecting = 1; g_phase = working }
	/* First the folders, then the head; and the head must last. */
#ifdef BROKEN_HEAD_FIRST
	:: d_step { g_phase == working -> g_named = named; g_phase = listed }
	:: d_step { g_phase == listed -> g_files = files; SYNC_CATALOG; g_phase = judged }
#else
	:: d_step { g_phase == working -> g_files = files; g_phase = listed }
	:: d_step { g_phase == listed -> g_named = named;
#ifndef BROKEN_GC_SYNC
		SYNC_CATALOG;
#endif
		g_phase = judged }
#endif
	:: d_step { g_phase == judged ->
		files = files & ~(g_files & ~g_named);
		g_files = 0; g_named = 0; collecting = 0; g_phase = off;
		check_store() }
	:: d_step { g_phase != off && kills < KILLS -> kills++; g_files = 0; g_named = 0; collecting = 0; g_phase = off }
	od
}

proctype power()
{
end:	do
	/* The last edit may have got lost, or not. */
	:: atomic { power_cuts < POWER_CUTS ->
		power_cuts++;
		if :: named = durably_named :: durably_named = named fi;
		d_step {
			readers = 0; collecting = 0; c_locked[0] = 0; c_locked[1] = 0;
			w_phase = off; c_phase[0] = off; c_phase[1] = off; r_phase = off; g_phase = off;
			r_version = 0; g_files = 0; g_named = 0;
			check_store() } }
	od
}

init {
	atomic { run writer(); run compaction(0); run compaction(1); run reader(); run gc(); run power() }
}
