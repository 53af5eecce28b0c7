/* Which files may go: naming, compaction, leases of readers, and gc.
 *
 * File 0 is a closed segment. A writer opens segment 1; two compactions replace file 0 by archives 2 and 3 (as if their lock had
 * failed them); a reader leases a version, takes a snapshot and reads; gc, which may run beside all of them, removes what neither the head of the
 * catalog names nor a version since the oldest lease. Every process may be
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
byte makers;                /* that hold the lock "outputs" shared */
bit collecting;             /* gc holds it alone */
bit leased;                 /* the reader holds a lease */
byte r_since;               /* what any version has named since the one that the reader knows, or leases */
byte kills, power_cuts;

#define DATA (named & (INPUT | ARCHIVES))

inline check_store()
{
	skip;
	acked_is_durable: assert((named & written & ~files) == 0 && (durably_named & written & ~files) == 0);
	exactly_once: assert(DATA == INPUT || DATA == FIRST_ARCHIVE || DATA == FIRST_ARCHIVE << 1)
}

#define SYNC_CATALOG durably_named = named
#define COMMIT(files_named) named = files_named; r_since = r_since | named

/* The steps of each process; where it is killed, its locks are free. */
mtype = {off, edited, synced, filed, working, published, listed, judged};
mtype w_phase = off, c_phase[2] = off, r_phase = off, g_phase = off;

proctype writer()
{
end:	do
#ifdef BROKEN_FILE_FIRST
	:: d_step { w_phase == off && !(files & SEGMENT) -> files = files | SEGMENT; w_phase = synced }
	:: d_step { w_phase == synced && !(named & SEGMENT) -> COMMIT(named | SEGMENT); SYNC_CATALOG; w_phase = filed }
#else
	:: d_step { w_phase == off && !(named & SEGMENT) -> COMMIT(named | SEGMENT); w_phase = edited }
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
	makers = makers - (c_locked[i] -> 1 : 0);
	c_locked[i] = 0
}

bit c_locked[2];

proctype compaction(byte i)
{
end:	do
	/* The lock "outputs", held until the edit is durable. */
	:: d_step { c_phase[i] == off && !collecting && (named & INPUT) && !(files & ARCHIVE) ->
		makers++; c_locked[i] = 1; c_phase[i] = working }
	/* The archive is durable, and gets its name in the folder. */
	:: d_step { c_phase[i] == working ->
		files = files | ARCHIVE; c_phase[i] = published;
#ifdef BROKEN_COMPACTION_LOCK
		makers--; c_locked[i] = 0
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
			COMMIT((named & ~INPUT) | ARCHIVE); written = written | ARCHIVE; c_phase[i] = edited
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
	/* It knows some version, from a while ago. */
	:: d_step { r_phase == off -> r_since = named; r_phase = listed }
#ifdef BROKEN_READER_LEASE /* taken behind the catalog */
	:: d_step { r_phase == listed -> r_version = named & written; r_since = named; r_phase = edited }
	:: d_step { r_phase == edited -> leased = 1; r_phase = working }
#else
	:: d_step { r_phase == listed -> leased = 1; r_phase = edited }
	/* It settles on the head, and leases that instead. */
	:: d_step { r_phase == edited -> r_version = named & written; r_since = named; r_phase = working }
#endif
	:: d_step { r_phase == working ->
		snapshot_finds_its_files: assert((r_version & ~files) == 0);
		leased = 0; r_version = 0; r_since = 0; r_phase = off }
	od
}

byte g_files, g_kept;

inline forget_gc()
{
	g_files = 0; g_kept = 0; collecting = 0; g_phase = off
}

proctype gc()
{
end:	do
	/* Where no compaction is at it, none begins; else archives are left alone. */
	:: d_step { g_phase == off -> collecting = (makers == 0); g_phase = working }
	/* First the folders, then the head, then the leases; and the head must last. */
#ifdef BROKEN_HEAD_FIRST
	:: d_step { g_phase == working -> g_kept = named; g_phase = listed }
	:: d_step { g_phase == listed -> g_files = files; SYNC_CATALOG; g_phase = filed }
#else
	:: d_step { g_phase == working -> g_files = files; g_phase = listed }
#ifdef BROKEN_LEASES_FIRST
	:: d_step { g_phase == listed -> g_kept = (leased -> r_since : 0); g_phase = filed }
#else
	:: d_step { g_phase == listed -> g_kept = named;
#ifndef BROKEN_GC_SYNC
		SYNC_CATALOG;
#endif
		g_phase = filed }
#endif
#endif
#ifdef BROKEN_LEASES_FIRST
	:: d_step { g_phase == filed -> g_kept = g_kept | named; SYNC_CATALOG; g_phase = judged }
#else
	:: d_step { g_phase == filed -> g_kept = g_kept | (leased -> r_since : 0); g_phase = judged }
#endif
	:: d_step { g_phase == judged ->
#ifdef BROKEN_OUTPUTS
		files = files & ~(g_files & ~g_kept);
#else
		files = files & ~(g_files & ~g_kept & (collecting -> 255 : ~ARCHIVES));
#endif
		forget_gc();
		check_store() }
	:: d_step { g_phase != off && kills < KILLS -> kills++; forget_gc() }
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
			makers = 0; leased = 0; c_locked[0] = 0; c_locked[1] = 0;
			w_phase = off; c_phase[0] = off; c_phase[1] = off; r_phase = off;
			r_version = 0; r_since = 0;
			forget_gc();
			check_store() } }
	od
}

init {
	atomic { run writer(); run compaction(0); run compaction(1); run reader(); run gc(); run power() }
}
