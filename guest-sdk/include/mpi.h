/* MPI between the instances of one call: docs/guides/mpi.md. Names and meanings are those of the MPI standard, https://www.mpi-forum.org */
#ifndef MPI_H
#define MPI_H

#include <stdint.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NEAP_MPI(name) __attribute__((import_module("env"), import_name(#name)))

#define MPI_VERSION 2
#define MPI_SUBVERSION 2

/* Mistakes end the call with a message: no call of MPI returns anything else. */
#define MPI_SUCCESS 0

typedef int MPI_Comm;
#define MPI_COMM_NULL 0
#define MPI_COMM_WORLD 1
#define MPI_COMM_SELF 2

typedef int MPI_Datatype;
#define MPI_DATATYPE_NULL 0
#define MPI_CHAR 1
#define MPI_SIGNED_CHAR 1
#define MPI_INT8_T 1
#define MPI_UNSIGNED_CHAR 2
#define MPI_UINT8_T 2
#define MPI_C_BOOL 2
#define MPI_BYTE 3
#define MPI_SHORT 4
#define MPI_INT16_T 4
#define MPI_UNSIGNED_SHORT 5
#define MPI_UINT16_T 5
#define MPI_INT 6
#define MPI_INT32_T 6
#define MPI_LONG 6
#define MPI_AINT 6
#define MPI_UNSIGNED 7
#define MPI_UINT32_T 7
#define MPI_UNSIGNED_LONG 7
#define MPI_LONG_LONG 8
#define MPI_LONG_LONG_INT 8
#define MPI_INT64_T 8
#define MPI_UNSIGNED_LONG_LONG 9
#define MPI_UINT64_T 9
#define MPI_FLOAT 10
#define MPI_DOUBLE 11
/* A value and an int, for MPI_MINLOC and MPI_MAXLOC. */
#define MPI_2INT 12
#define MPI_LONG_INT 12
#define MPI_FLOAT_INT 13
#define MPI_DOUBLE_INT 14

typedef int MPI_Op;
#define MPI_OP_NULL 0
#define MPI_MAX 1
#define MPI_MIN 2
#define MPI_SUM 3
#define MPI_PROD 4
#define MPI_LAND 5
#define MPI_BAND 6
#define MPI_LOR 7
#define MPI_BOR 8
#define MPI_LXOR 9
#define MPI_BXOR 10
#define MPI_MINLOC 11
#define MPI_MAXLOC 12
/* Of MPI_Accumulate. */
#define MPI_REPLACE 13
typedef void MPI_User_function(void *in, void *inout, int *len, MPI_Datatype *datatype);

typedef int MPI_Request;
#define MPI_REQUEST_NULL 0

typedef struct MPI_Status {
  int MPI_SOURCE;
  int MPI_TAG;
  int MPI_ERROR;
  int neap_bytes;
} MPI_Status;
#define MPI_STATUS_IGNORE ((MPI_Status *)0)
#define MPI_STATUSES_IGNORE ((MPI_Status *)0)

typedef int MPI_Win;
#define MPI_WIN_NULL 0
typedef long MPI_Aint;
typedef int MPI_Info;
#define MPI_INFO_NULL 0
/* Of fences: a promise that is not needed here. */
#define MPI_MODE_NOCHECK 1
#define MPI_MODE_NOSTORE 2
#define MPI_MODE_NOPUT 4
#define MPI_MODE_NOPRECEDE 8
#define MPI_MODE_NOSUCCEED 16

#define MPI_ANY_SOURCE (-1)
#define MPI_ANY_TAG (-1)
#define MPI_PROC_NULL (-2)
#define MPI_UNDEFINED (-32766)
#define MPI_IN_PLACE ((void *)-1)
#define MPI_BOTTOM ((void *)0)
#define MPI_TAG_UB_VALUE 2147483647
#define MPI_MAX_PROCESSOR_NAME 128

#define MPI_THREAD_SINGLE 0
#define MPI_THREAD_FUNNELED 1
#define MPI_THREAD_SERIALIZED 2
#define MPI_THREAD_MULTIPLE 3

NEAP_MPI(MPI_Init) int MPI_Init(int *argc, char ***argv);
NEAP_MPI(MPI_Init_thread) int MPI_Init_thread(int *argc, char ***argv, int required, int *provided);
NEAP_MPI(MPI_Initialized) int MPI_Initialized(int *flag);
NEAP_MPI(MPI_Finalized) int MPI_Finalized(int *flag);
NEAP_MPI(MPI_Finalize) int MPI_Finalize(void);
NEAP_MPI(MPI_Abort) int MPI_Abort(MPI_Comm comm, int errorcode);
NEAP_MPI(MPI_Wtime) double MPI_Wtime(void);
NEAP_MPI(MPI_Wtick) double MPI_Wtick(void);
NEAP_MPI(MPI_Get_processor_name) int MPI_Get_processor_name(char *name, int *resultlen);
NEAP_MPI(MPI_Get_version) int MPI_Get_version(int *version, int *subversion);
NEAP_MPI(MPI_Comm_rank) int MPI_Comm_rank(MPI_Comm comm, int *rank);
NEAP_MPI(MPI_Comm_size) int MPI_Comm_size(MPI_Comm comm, int *size);
NEAP_MPI(MPI_Comm_dup) int MPI_Comm_dup(MPI_Comm comm, MPI_Comm *newcomm);
NEAP_MPI(MPI_Comm_split) int MPI_Comm_split(MPI_Comm comm, int color, int key, MPI_Comm *newcomm);
NEAP_MPI(MPI_Comm_free) int MPI_Comm_free(MPI_Comm *comm);
NEAP_MPI(MPI_Send) int MPI_Send(const void *buf, int count, MPI_Datatype datatype, int dest, int tag, MPI_Comm comm);
NEAP_MPI(MPI_Ssend)
  int MPI_Ssend(const void *buf, int count, MPI_Datatype datatype, int dest, int tag, MPI_Comm comm);
NEAP_MPI(MPI_Isend)
  int MPI_Isend(const void *buf, int count, MPI_Datatype datatype, int dest, int tag, MPI_Comm comm, MPI_Request
      *request);
NEAP_MPI(MPI_Recv)
  int MPI_Recv(void *buf, int count, MPI_Datatype datatype, int source, int tag, MPI_Comm comm, MPI_Status
      *status);
NEAP_MPI(MPI_Irecv)
  int MPI_Irecv(void *buf, int count, MPI_Datatype datatype, int source, int tag, MPI_Comm comm, MPI_Request
      *request);
NEAP_MPI(MPI_Sendrecv)
  int MPI_Sendrecv(const void *sendbuf, int sendcount, MPI_Datatype sendtype, int dest, int sendtag, void
      *recvbuf, int recvcount, MPI_Datatype recvtype, int source, int recvtag, MPI_Comm comm, MPI_Status *status);
NEAP_MPI(MPI_Wait) int MPI_Wait(MPI_Request *request, MPI_Status *status);
NEAP_MPI(MPI_Waitall) int MPI_Waitall(int count, MPI_Request *requests, MPI_Status *statuses);
NEAP_MPI(MPI_Waitany) int MPI_Waitany(int count, MPI_Request *requests, int *index, MPI_Status *status);
NEAP_MPI(MPI_Test) int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status);
NEAP_MPI(MPI_Request_free) int MPI_Request_free(MPI_Request *request);
NEAP_MPI(MPI_Probe) int MPI_Probe(int source, int tag, MPI_Comm comm, MPI_Status *status);
NEAP_MPI(MPI_Iprobe) int MPI_Iprobe(int source, int tag, MPI_Comm comm, int *flag, MPI_Status *status);
NEAP_MPI(MPI_Get_count) int MPI_Get_count(const MPI_Status *status, MPI_Datatype datatype, int *count);
NEAP_MPI(MPI_Barrier) int MPI_Barrier(MPI_Comm comm);
NEAP_MPI(MPI_Bcast) int MPI_Bcast(void *buf, int count, MPI_Datatype datatype, int root, MPI_Comm comm);
NEAP_MPI(MPI_Scatter)
  int MPI_Scatter(const void *sendbuf, int sendcount, MPI_Datatype sendtype, void *recvbuf, int recvcount,
      MPI_Datatype recvtype, int root, MPI_Comm comm);
NEAP_MPI(MPI_Scatterv)
  int MPI_Scatterv(const void *sendbuf, const int *sendcounts, const int *displs, MPI_Datatype sendtype, void
      *recvbuf, int recvcount, MPI_Datatype recvtype, int root, MPI_Comm comm);
NEAP_MPI(MPI_Gather)
  int MPI_Gather(const void *sendbuf, int sendcount, MPI_Datatype sendtype, void *recvbuf, int recvcount,
      MPI_Datatype recvtype, int root, MPI_Comm comm);
NEAP_MPI(MPI_Gatherv)
  int MPI_Gatherv(const void *sendbuf, int sendcount, MPI_Datatype sendtype, void *recvbuf, const int *recvcounts,
      const int *displs, MPI_Datatype recvtype, int root, MPI_Comm comm);
NEAP_MPI(MPI_Allgather)
  int MPI_Allgather(const void *sendbuf, int sendcount, MPI_Datatype sendtype, void *recvbuf, int recvcount,
      MPI_Datatype recvtype, MPI_Comm comm);
NEAP_MPI(MPI_Allgatherv)
  int MPI_Allgatherv(const void *sendbuf, int sendcount, MPI_Datatype sendtype, void *recvbuf, const int
      *recvcounts, const int *displs, MPI_Datatype recvtype, MPI_Comm comm);
NEAP_MPI(MPI_Alltoall)
  int MPI_Alltoall(const void *sendbuf, int sendcount, MPI_Datatype sendtype, void *recvbuf, int recvcount,
      MPI_Datatype recvtype, MPI_Comm comm);
NEAP_MPI(MPI_Alltoallv)
  int MPI_Alltoallv(const void *sendbuf, const int *sendcounts, const int *sdispls, MPI_Datatype sendtype, void
      *recvbuf, const int *recvcounts, const int *rdispls, MPI_Datatype recvtype, MPI_Comm comm);
NEAP_MPI(MPI_Reduce)
  int MPI_Reduce(const void *sendbuf, void *recvbuf, int count, MPI_Datatype datatype, MPI_Op op, int root,
      MPI_Comm comm);
NEAP_MPI(MPI_Allreduce)
  int MPI_Allreduce(const void *sendbuf, void *recvbuf, int count, MPI_Datatype datatype, MPI_Op op, MPI_Comm
      comm);
NEAP_MPI(MPI_Scan)
  int MPI_Scan(const void *sendbuf, void *recvbuf, int count, MPI_Datatype datatype, MPI_Op op, MPI_Comm comm);
NEAP_MPI(MPI_Reduce_scatter)
  int MPI_Reduce_scatter(const void *sendbuf, void *recvbuf, const int *recvcounts, MPI_Datatype datatype, MPI_Op
      op, MPI_Comm comm);
NEAP_MPI(MPI_Cart_create)
  int MPI_Cart_create(MPI_Comm comm, int ndims, const int *dims, const int *periods, int reorder, MPI_Comm
      *newcomm);
NEAP_MPI(MPI_Cart_get) int MPI_Cart_get(MPI_Comm comm, int maxdims, int *dims, int *periods, int *coords);
NEAP_MPI(MPI_Cart_rank) int MPI_Cart_rank(MPI_Comm comm, const int *coords, int *rank);
NEAP_MPI(MPI_Cart_coords) int MPI_Cart_coords(MPI_Comm comm, int rank, int maxdims, int *coords);
NEAP_MPI(MPI_Cart_shift) int MPI_Cart_shift(MPI_Comm comm, int direction, int disp, int *source, int *dest);
NEAP_MPI(MPI_Cartdim_get) int MPI_Cartdim_get(MPI_Comm comm, int *ndims);
NEAP_MPI(MPI_Dims_create) int MPI_Dims_create(int nnodes, int ndims, int *dims);
NEAP_MPI(MPI_Type_contiguous) int MPI_Type_contiguous(int count, MPI_Datatype oldtype, MPI_Datatype *newtype);
NEAP_MPI(MPI_Type_commit) int MPI_Type_commit(MPI_Datatype *datatype);
NEAP_MPI(MPI_Type_free) int MPI_Type_free(MPI_Datatype *datatype);
NEAP_MPI(MPI_Type_size) int MPI_Type_size(MPI_Datatype datatype, int *size);
NEAP_MPI(MPI_Op_create) int MPI_Op_create(MPI_User_function *function, int commute, MPI_Op *op);
NEAP_MPI(MPI_Op_free) int MPI_Op_free(MPI_Op *op);
NEAP_MPI(MPI_Win_create)
  int MPI_Win_create(void *base, MPI_Aint size, int disp_unit, MPI_Info info, MPI_Comm comm, MPI_Win *win);
NEAP_MPI(MPI_Win_fence) int MPI_Win_fence(int assert, MPI_Win win);
NEAP_MPI(MPI_Win_free) int MPI_Win_free(MPI_Win *win);
NEAP_MPI(MPI_Put)
  int MPI_Put(const void *origin, int origin_count, MPI_Datatype origin_datatype, int target, MPI_Aint disp, int
      target_count, MPI_Datatype target_datatype, MPI_Win win);
NEAP_MPI(MPI_Get)
  int MPI_Get(void *origin, int origin_count, MPI_Datatype origin_datatype, int target, MPI_Aint disp, int
      target_count, MPI_Datatype target_datatype, MPI_Win win);
NEAP_MPI(MPI_Accumulate)
  int MPI_Accumulate(const void *origin, int origin_count, MPI_Datatype origin_datatype, int target, MPI_Aint
      disp, int target_count, MPI_Datatype target_datatype, MPI_Op op, MPI_Win win);

static inline int MPI_Alloc_mem(MPI_Aint size, MPI_Info info, void *ptr) {
  (void)info;
  *(void **)ptr = malloc((size_t)size);
  return MPI_SUCCESS;
}

static inline int MPI_Free_mem(void *ptr) {
  free(ptr);
  return MPI_SUCCESS;
}

#undef NEAP_MPI

#ifdef __cplusplus
}
#endif

#endif
