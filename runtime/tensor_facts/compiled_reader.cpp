// Reads thousands of tensors without a Python call for each.
//
// In: lists of tensors as Python objects, and what is expected of them. Out: addresses, and the first tensor that is not
// as expected; lists of attributes; scalars. compiled_reader.py calls these functions, with the interpreter's lock held.
// No function writes to a tensor, except `thetac_write_scalars`; `thetac_bump_versions` counts for autograd.

#include "torch_handles.h"

namespace {

// What can differ. The order is that of `CAUSES` in tensor_reader.py.
enum Finding : int64_t { kSame, kType, kDtype, kShape, kStrides, kDevice, kLazy, kMemory };

// What tensors that are polled together have in common: torch's numbers, which are compared only.
struct Kind {
  int32_t layout, dtype, device_type, device_index;
};

// What is expected of the tensors of a list, and of the memory around them.
struct Expected {
  const TorchInterface* torch;
  Object* const* types;         // the exact types that can be read
  int64_t type_count;
  int64_t list_size;
  const int64_t* positions;     // of the tensors in the list; null: all
  int64_t count;                // of the tensors
  Kind kind;
  int64_t element_bytes;
  int64_t is_complex;
  const int64_t* layouts;       // per tensor: number of dimensions, shape, strides
  int64_t any_strides;
  const int64_t* range_begins;  // ranges of memory, in ascending order, that no tensor at a new address may overlap
  const int64_t* range_ends;
  int64_t range_count;
};

// Compares a tensor with what is expected of all, apart from its shape, strides and address. In the order of cost.
Finding compare_kind(const Expected& expected, Handle tensor) {
  const TorchInterface& torch = *expected.torch;
  int32_t number;
  if (torch.is_neg(tensor) || (expected.is_complex && torch.is_conj(tensor))) return kLazy;
  if (torch.layout(tensor, &number) != 0 || number != expected.kind.layout) return kType;
  if (torch.dtype(tensor, &number) != 0 || number != expected.kind.dtype) return kDtype;
  return kSame;
}

Finding compare_device(const Expected& expected, Handle tensor) {
  const TorchInterface& torch = *expected.torch;
  int32_t number;
  if (torch.device_type(tensor, &number) != 0 || number != expected.kind.device_type) return kDevice;
  if (expected.kind.device_type == 0) return kSame;  // a CPU has no index
  return torch.device_index(tensor, &number) != 0 || number != expected.kind.device_index ? kDevice : kSame;
}

// Whether a tensor overlaps one of the ranges: the first that ends behind its begin must not begin before its end.
bool overlaps_ranges(const Expected& expected, int64_t begin, int64_t end) {
  int64_t low = 0, high = expected.range_count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (expected.range_ends[middle] > begin) high = middle; else low = middle + 1;
  }
  return low < expected.range_count && expected.range_begins[low] < end;
}

}  // namespace

extern "C" {

extern const int64_t thetac_abi = 1;  // the version of this interface

// Compares the tensors of a list, in which there may be anything, with what is expected of them. If all are as expected:
// writes their addresses, counts in `moved` those that are new, and returns kSame. Else returns what differs first;
// `addresses` may then hold some old and some new ones.
int64_t thetac_poll(Object* list, const Expected* expected, int64_t* addresses, int64_t* moved) {
  const TorchInterface& torch = *expected->torch;
  const int64_t* layout = expected->layouts;
  const int64_t count = expected->count;
  *moved = 0;
  if (PyList_Size(list) != expected->list_size) return kType;
  const ListView tensors(torch, list, expected->positions);
  for (int64_t first = 0; first < count; first += kBlock) {
    Object* objects[kBlock];
    const int64_t block = count - first < kBlock ? count - first : kBlock;
    for (int64_t i = 0; i < block; ++i) {
      objects[i] = tensors[first + i];
      const Object* type = type_of(torch, objects[i]);
      bool is_known = false;
      for (int64_t t = 0; t < expected->type_count; ++t) is_known = is_known || type == expected->types[t];
      if (!is_known) return kType;
    }
    prefetch_handles(torch, objects, block);
    prefetch_tensors(torch, objects, block);
    for (int64_t i = 0; i < block; ++i) {
      const Handle tensor = handle_of(torch, objects[i]);
      if (const Finding finding = compare_kind(*expected, tensor)) return finding;
      const int64_t dimensions = *layout++;
      int64_t found;
      int64_t *shape_found, *strides_found;
      if (torch.dimensions(tensor, &found) != 0 || found != dimensions) return kShape;
      if (torch.shape(tensor, &shape_found) != 0 || torch.strides(tensor, &strides_found) != 0) return kType;
      const int64_t* shape = layout;
      const int64_t* strides = layout + dimensions;
      layout += 2 * dimensions;
      int64_t elements = 1, last_element = 0;
      for (int64_t d = 0; d < dimensions; ++d) {
        if (shape_found[d] != shape[d]) return kShape;
        if (!expected->any_strides && shape[d] > 1 && strides_found[d] != strides[d]) return kStrides;
        elements *= shape[d];
        last_element += (shape[d] - 1) * strides_found[d];
      }
      if (const Finding finding = compare_device(*expected, tensor)) return finding;
      void* data;
      if (torch.data(tensor, &data) != 0) return kType;
      const int64_t address = reinterpret_cast<int64_t>(data);
      if (elements && !address) return kType;  // its memory is not where torch says
      if (address == addresses[first + i]) continue;
      ++*moved;
      addresses[first + i] = address;
      const int64_t end = address + (last_element + 1) * expected->element_bytes;
      if (elements && expected->range_count && overlaps_ranges(*expected, address, end)) return kMemory;
    }
  }
  return kSame;
}

// Describes what a tensor is. Returns 0, or another number if torch does not say.
int64_t thetac_describe(Object* object, const TorchInterface* torch, Kind* out) {
  const Handle tensor = handle_of(*torch, object);
  return torch->layout(tensor, &out->layout) || torch->dtype(tensor, &out->dtype) ||
         torch->device_type(tensor, &out->device_type) || torch->device_index(tensor, &out->device_index);
}

// Returns a new list with an attribute of each tensor; null if Python raised an exception.
Object* thetac_read_attributes(Object* list, Object* name, const TorchInterface* torch) {
  const int64_t count = PyList_Size(list);
  Object* found = PyList_New(count);
  for (int64_t i = 0; found && i < count; ++i) {
    if (i % kBlock == 0) {
      Object* objects[kBlock];
      int64_t block = 0;
      while (block < kBlock && i + block < PyList_Size(list)) {
        objects[block] = PyList_GetItem(list, i + block);
        ++block;
      }
      prefetch_handles(*torch, objects, block);
      prefetch_tensors(*torch, objects, block);
    }
    Object* tensor = PyList_GetItem(list, i);
    Object* value = nullptr;
    if (tensor) {  // else a user's code behind an attribute has shortened the list
      Py_IncRef(tensor);
      value = PyObject_GetAttr(tensor, name);
      Py_DecRef(tensor);
    }
    if (!value) {
      Py_DecRef(found);
      return nullptr;
    }
    PyList_SetItem(found, i, value);
  }
  return found;
}

// Returns a new list of the items of `values` at some positions, if `keys` has the very objects of `expected_keys`
// there; else an empty list. `keys` and `values` are of one length.
Object* thetac_read_entries(Object* keys, Object* values, Object* expected_keys, const int64_t* positions,
                            const TorchInterface* torch) {
  const intptr_t count = PyList_Size(expected_keys), size = PyList_Size(keys);
  const ListView found_keys(*torch, keys, positions), found_values(*torch, values, positions);
  const ListView wanted(*torch, expected_keys);
  for (intptr_t i = 0; i < count; ++i)
    if (positions[i] >= size || found_keys[i] != wanted[i]) return PyList_New(0);
  Object* found = PyList_New(count);
  for (intptr_t i = 0; found && i < count; ++i) {
    Object* value = found_values[i];
    Py_IncRef(value);
    PyList_SetItem(found, i, value);
  }
  return found;
}

// Returns a new list per name, with what each dictionary has under that name, `none` where it has nothing or is no
// dictionary; null if Python raised an exception.
Object* thetac_read_items(Object* dictionaries, Object* names, Object* none, const TorchInterface* torch) {
  const intptr_t count = PyList_Size(dictionaries), lists = PyList_Size(names);
  const ListView each(*torch, dictionaries);
  Object* found = PyList_New(lists);
  for (intptr_t n = 0; found && n < lists; ++n) {
    Object* name = PyList_GetItem(names, n);
    Object* items = PyList_New(count);
    if (!items) {
      Py_DecRef(found);
      return nullptr;
    }
    for (intptr_t i = 0; i < count; ++i) {
      Object* value = PyDict_GetItemWithError(each[i], name);
      if (!value) {
        PyErr_Clear();
        value = none;
      }
      Py_IncRef(value);
      PyList_SetItem(items, i, value);
    }
    PyList_SetItem(found, n, items);
  }
  return found;
}

// Bumps the version counters of the tensors at some positions of each of several lists. Tensors made in inference mode
// have none and are left alone.
void thetac_bump_versions(Object* lists, const int64_t* positions, int64_t count, const TorchInterface* torch) {
  for (intptr_t n = 0; n < PyList_Size(lists); ++n) {
    const ListView tensors(*torch, PyList_GetItem(lists, n), positions);
    for (int64_t i = 0; i < count; ++i) {
      try {
        torch->bump_version(handle_of(*torch, tensors[i]));
      } catch (...) {
      }
    }
  }
}

// Reads a scalar on the host at each address: float64 if `is_wide`, else float32. Returns whether all are equal; NaN
// equals nothing.
int64_t thetac_read_scalars(const int64_t* addresses, int64_t count, int64_t is_wide, double* out) {
  bool are_equal = true;
  for (int64_t i = 0; i < count; ++i) {
    out[i] = is_wide ? *reinterpret_cast<const double*>(addresses[i]) : *reinterpret_cast<const float*>(addresses[i]);
    are_equal = are_equal && out[i] == out[0];
  }
  return are_equal;
}

// Writes to each address the value of its row.
void thetac_write_scalars(const int64_t* addresses, int64_t count, int64_t is_wide, const int64_t* rows,
                          const double* values) {
  for (int64_t i = 0; i < count; ++i) {
    const double value = values[rows[i]];
    if (is_wide)
      *reinterpret_cast<double*>(addresses[i]) = value;
    else
      *reinterpret_cast<float*>(addresses[i]) = static_cast<float>(value);
  }
}

}  // extern "C"
